"""Code that changes while it is run: new sandboxes for the next invocations, no end for those that run."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from faasight_emulator import Emulator
from faasight_emulator.reload import fingerprint
from polling import wait_until

Start = Callable[..., Emulator]
CODE = """
import time
def handler(event, context):
    while event.get("wait") and not __import__("os").path.exists(event["wait"]):
        time.sleep(0.02)
    return {version}
"""
RESOURCES = """
  F: {Type: AWS::Serverless::Function, Properties: {Handler: main.handler, CodeUri: code, Timeout: 300}}
  Other: {Type: AWS::Serverless::Function, Properties: {Handler: app.count}}
"""


def test_a_change_is_run_and_ends_nothing(start: Start, tmp_path: Path) -> None:
    """What runs while its code changes ends with the old; whatever comes then has the new; others stay warm."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text(CODE.replace("{version}", "1"))
    said: list[str] = []
    emulator = start(RESOURCES, progress=said.append, reload=True)
    assert emulator.invoke("f", {}).json() == 1
    assert emulator.invoke("other", {}).json()["calls"] == 1
    answers: list[Any] = []
    going = tmp_path / "go"
    running = Thread(target=lambda: answers.append(emulator.invoke("f", {"wait": str(going)}).json()))
    running.start()
    wait_until(lambda: emulator.running("f") == 1, "one runs")
    (code / "main.py").write_text(CODE.replace("{version}", "22"))
    wait_until(lambda: any("has changed: f begins anew" in one for one in said), "the change is seen")
    assert emulator.invoke("f", {}).json() == 22
    going.touch()
    running.join()
    assert answers == [1]
    assert [emulator.invoke("f", {}).json() for _ in range(2)] == [22, 22], "the old sandbox is not used again"
    assert emulator.invoke("other", {}).json()["calls"] == 2
    assert emulator.counts()["f"].errors == 0


def test_what_counts_as_a_change(tmp_path: Path) -> None:
    """Caches and hidden files are not code; a file that goes is a change."""
    (tmp_path / "app.py").write_text("1")
    before = fingerprint(tmp_path)
    for name in ("__pycache__/app.pyc", ".venv/lib.py", "node_modules/a.js", ".git", "app.py~"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("2")
    assert fingerprint(tmp_path) == before
    (tmp_path / "data.json").write_text("{}")
    assert fingerprint(tmp_path) != before
    (tmp_path / "data.json").unlink()
    assert fingerprint(tmp_path) == before
    assert fingerprint(tmp_path / "gone") == frozenset()


def test_packages_that_are_not_there_are_told(start: Start, tmp_path: Path) -> None:
    """A requirement is looked for in this Python and beside the code; the sentence says what to type."""
    code = tmp_path / "code"
    (code / "vendored_thing-1.0.dist-info").mkdir(parents=True)
    (code / "main.py").write_text("def handler(event, context): pass\n")
    (code / "requirements.txt").write_text(
        "# what it needs\nboto3>=1.30\nvendored-thing==1.0\nnot-there-1[extra] ~= 2.0\nnot.there.2\n"
        "-r other.txt\nonly-there; sys_platform == 'win32'\n./local\n"
    )
    said: list[str] = []
    start(RESOURCES, progress=said.append)
    told = [one for one in said if "requirements.txt" in one]
    assert len(told) == 1
    assert "asks for not-there-1, not.there.2, which the Python of the emulator does not have" in told[0]
    assert f"pip install -r {code / 'requirements.txt'}" in told[0]
