"""The service as a whole: clear errors at the start, a clean stop, and nothing left when it is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faasight_emulator
import psutil
import pytest
from faasight_emulator import Emulator, EmulatorError, Settings, StartError, TemplateError
from polling import wait_until

Start = Callable[..., Emulator]
WriteTemplate = Callable[[str], Path]
SLEEPER = "  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep, Timeout: 900}}\n"


QUEUE = """\
  Q: {Type: AWS::SQS::Queue}
  G:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.batch, Events: {E: {Type: SQS, Properties: {Queue: !GetAtt Q.Arn}}}}
"""


def test_the_door_is_complete() -> None:
    """Every name of __all__ is there, documented."""
    assert faasight_emulator.__all__ == sorted(faasight_emulator.__all__)
    assert all(getattr(faasight_emulator, name).__doc__ for name in faasight_emulator.__all__)


def test_port_in_use(one: Start) -> None:
    """A gateway port that is taken is named, with what to do, and nothing stays behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StartError, match=rf"127\.0\.0\.1:{port} \(Address already in use\); stop what uses the port"
        ):
            one("echo", gateway_port=port)


def test_bad_template(tmp_path: Path) -> None:
    """A bad template is refused before anything is started."""
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(TemplateError):
        Emulator(Settings(tmp_path / "none.yaml", gateway_port=0)).start()
    assert {child.pid for child in psutil.Process().children()} == before


def test_not_running(template_file: WriteTemplate) -> None:
    """An emulator that has not been started, or has been stopped, says so."""
    emulator = Emulator(Settings(template_file(SLEEPER), gateway_port=0))
    with pytest.raises(EmulatorError, match="start it first"):
        emulator.invoke("f", {})
    emulator.stop()


def test_a_stop_is_clean(start: Start) -> None:
    """With one invocation running for minutes, stop ends within five seconds: no process, no thread, no file left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    threads = {thread.ident for thread in threading.enumerate()}
    emulator = start(f"{SLEEPER}{QUEUE}")
    errors: list[EmulatorError] = []

    def call() -> None:
        try:
            emulator.invoke("f", {"seconds": 600})
        except EmulatorError as error:
            errors.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: emulator.running("f") == 1, "the function runs")
    wait_until(lambda: len(psutil.Process().children(recursive=True)) > len(before) + 1, "its process is there")
    files = {Path(item.path).parent for child in psutil.Process().children() for item in child.open_files()}
    began = time.monotonic()
    emulator.stop()
    assert time.monotonic() - began < 300, "five on a machine that is free; the function would go on for ten minutes"
    caller.join(180)
    assert [str(error) for error in errors] == ["The emulator was stopped before the function had ended."]
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before
    wait_until(lambda: {thread.ident for thread in threading.enumerate()} <= threads, "its threads have ended")
    assert not [folder for folder in files if "faasight-emulator-" in str(folder) and folder.exists()]
    emulator.stop()


RUN = """
import sys
from pathlib import Path
from faasight_emulator import Emulator, Settings
emulator = Emulator(Settings(Path(sys.argv[1]), gateway_port=0))
emulator.start()
print(emulator.invoke("f", {"seconds": 0}).json()["pid"], flush=True)
emulator.invoke("f", {"seconds": 600})
"""


def alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("frozen", [False, True])
def test_sigkill_leaves_nothing(template_file: WriteTemplate, frozen: bool) -> None:
    """When the emulator is killed its sandboxes (running or frozen), moto and the warden end too."""
    script = RUN if not frozen else RUN.replace('emulator.invoke("f", {"seconds": 600})', "import time; time.sleep(60)")
    command = [sys.executable, "-c", script, str(template_file(SLEEPER))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        sandbox = int(process.stdout.readline())
        wanted = psutil.STATUS_STOPPED if frozen else psutil.STATUS_SLEEPING
        wait_until(lambda: psutil.Process(sandbox).status() == wanted, "the sandbox is as wanted")
        folder = Path(psutil.Process(sandbox).environ()["TMPDIR"]).parent
        assert folder.is_dir()
        children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        assert len(children) == 3, "the sandbox, moto and the warden"
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in children), "all have ended")
    wait_until(lambda: not folder.exists(), "its files are gone")


def test_lines_of_functions_are_handed_on(template_file: WriteTemplate, aws: str, sink: Any) -> None:
    """`on_line` gets what the functions print, `progress` how the start goes."""
    lines: list[tuple[str, str]] = []
    said: list[str] = []
    resources = "  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.talk}}\n"
    settings = Settings(template_file(resources), gateway_port=0, aws_endpoint=aws, collector=sink.url)
    emulator = Emulator(settings, said.append, lambda function, line: lines.append((function, line)))
    emulator.start()
    emulator.invoke("f", {})
    assert ("f", "one") in lines
    assert said[-1] == f"The gateway listens on {emulator.gateway_address}; functions: f"
    emulator.stop()
