"""Who was killed is told by the next process of the sandbox, once."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faasight.spans import Span
from faasight.witness import Witness
from killed_notes import killed
from polling import wait_until

SLEEPS = "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return 'done'\n"


def kill(sandbox: Any) -> None:
    sandbox.process.send_signal(signal.SIGKILL)
    sandbox.process.wait(180)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Make a sandbox's temporary folder: it outlives the process, as on AWS."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def records(folder: Path) -> list[bytes]:
    """Return the starts of what is noted as running."""
    return [
        data[i : i + 2]
        for data in (file.read_bytes() for file in folder.glob("faasight-*"))
        for i in range(0, len(data), 2048)
        if data[i : i + 1] == b"R"
    ]


def test_a_killed_invocation_is_told_by_the_next_process_and_once(function: Any, sink: Any, temporary: Path) -> None:
    first = function(SLEEPS, TMPDIR=str(temporary))
    assert first.invoke({"s": 0}).body == "done"
    wait_until(lambda: not records(temporary), "it is reported")
    killed_id = first.send({"s": 60, "Records": []}, timeout_ms=3_600_000)
    wait_until(lambda: records(temporary), "it is noted")
    began = time.time_ns()
    kill(first)
    for _ in range(2):
        again = function(SLEEPS, TMPDIR=str(temporary))
        assert again.invoke({"s": 0}).body == "done"
        wait_until(lambda: not records(temporary), "it is reported")
        kill(again)
    spans = sink.wait(4)
    told = [span for span in spans if span.attributes["faas.invocation_id"] == killed_id]
    assert len(spans) == 4
    (span,) = told
    assert span.attributes["faasight.killed"] is True
    assert (span.attributes["faasight.outcome"], span.attributes["error.type"]) == ("error", "killed")
    assert span.attributes["faas.trigger"] == "other"
    assert span.raw.status.code == 2
    assert span.raw.start_time_unix_nano < began < span.raw.end_time_unix_nano
    assert span.resource["faas.name"] == "checkout"


def test_kills_at_random_instants(function: Any, sink: Any, temporary: Path) -> None:
    """Whoever began is told of, as finished or as killed; as both, under one span id, only if killed in between."""
    code = (
        "import faasight, os, time\n"
        f"LIST = os.open({str(temporary / 'began')!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "def handler(event, context):\n"
        "    os.write(LIST, faasight.current_span().span_id.encode() + b'\\n')\n"
        "    time.sleep(0.01)\n"
    )
    dice = random.Random(4)
    for _ in range(6):
        sandbox = function(code, TMPDIR=str(temporary))
        sandbox.invoke()
        wait_until(lambda: not records(temporary), "it is reported")  # after its answer, as Lambda waits for it
        sandbox.send()
        time.sleep(dice.uniform(0, 0.03))  # the instant of the kill, which is what this is about
        kill(sandbox)
    function(code, TMPDIR=str(temporary)).invoke()
    began = (temporary / "began").read_text().split()
    wait_until(lambda: {span.span_id for span in sink.invocations()} >= set(began), "all are told of")
    told: dict[str, list[bool]] = {}
    for span in sink.invocations():
        told.setdefault(span.span_id, []).append(span.attributes.get("error.type") == "killed")
    # The note is blotted out after the sending: the kill between both is told by the next process too.
    assert all(sorted(kills) in ([False], [True], [False, True]) for kills in told.values())
    assert len(told) - len(began) <= 6, "some were killed between their record and their handler"
    wait_until(lambda: not records(temporary), "the last one is reported, too")


def test_a_reported_time_out_is_not_told_again(function: Any, sink: Any, temporary: Path) -> None:
    sandbox = function(SLEEPS, TMPDIR=str(temporary))
    sandbox.send({"s": 60}, timeout_ms=3_000)
    sink.wait()
    wait_until(lambda: not records(temporary), "nothing is noted")
    kill(sandbox)
    function(SLEEPS, TMPDIR=str(temporary)).invoke({"s": 0})
    assert sorted(span.attributes["faasight.outcome"] for span in sink.wait(2)) == ["ok", "timeout"]


def test_a_running_process_is_not_taken_for_dead(function: Any, sink: Any, temporary: Path) -> None:
    """Several processes may share a temporary folder: each has a file of its own, locked."""
    go = temporary.parent / "go"
    waits = "import os, time\ndef handler(event, context):\n    while not os.path.exists(event): time.sleep(0.01)\n"
    running, dead = function(waits, TMPDIR=str(temporary)), function(SLEEPS, TMPDIR=str(temporary))
    running.send(str(go))
    dead.send({"s": 60}, timeout_ms=3_600_000)
    wait_until(lambda: len(records(temporary)) == 2, "both are noted")
    kill(dead)
    function(SLEEPS, TMPDIR=str(temporary)).invoke({"s": 0})
    go.touch()
    assert running.outcome().kind == "response"
    told = Counter(span.attributes["error.type"] if span.raw.status.code else "" for span in sink.wait(3))
    assert told == {"": 2, "killed": 1}


def test_a_full_disk_costs_the_record_and_nothing_else(function: Any, sink: Any, temporary: Path) -> None:
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "def handler(event, context):\n    return 'done'\n"
    )
    sandbox = function(code, TMPDIR=str(temporary))
    assert [sandbox.invoke().body, sandbox.invoke().body] == ["done", "done"]
    assert [span.attributes["faasight.outcome"] for span in sink.wait(2)] == ["ok", "ok"]
    assert [file.stat().st_size for file in temporary.glob("faasight-*")] == [0]


def test_no_temporary_folder(function: Any, sink: Any, tmp_path: Path) -> None:
    assert function(SLEEPS, TMPDIR=str(tmp_path / "missing")).invoke({"s": 0}).body == "done"
    sink.wait()


def noted(folder: Path, **attributes: Any) -> bytes:
    """Return a file as a killed process leaves it."""
    witness = Witness("f")
    witness.open(0)
    witness.settle()
    span = Span("invoke", 2, "a" * 32, "b" * 16, attributes={"faas.invocation_id": "1", **attributes})
    witness.begin(span, 0)
    return (folder / "faasight-f-0").read_bytes()


@pytest.fixture
def here(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the temporary folder this process's own."""
    monkeypatch.setenv("TMPDIR", str(temporary))
    return temporary


def test_a_broken_file_is_no_harm(here: Path) -> None:
    """Each byte is changed in turn, and the file is cut at each: a span with fit ids comes, or none."""
    whole = noted(here)
    file, dice = here / "faasight-f-0", random.Random(1)
    for i in range(len(whole)):
        for broken in (whole[:i], whole[:i] + bytes((dice.randrange(256),)) + whole[i + 1 :]):
            file.write_bytes(broken)
            for span in killed("f"):
                assert len(bytes.fromhex(span.trace_id)) == 16
                assert len(bytes.fromhex(span.span_id)) == 8
                assert span.end_ns >= span.start_ns


def test_what_does_not_fit_is_left_out(here: Path) -> None:
    class Strange:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    noted(here, **{"http.route": "/" * 5_000})
    (span,) = killed("f")
    assert span.attributes["faas.invocation_id"] == "1"
    assert "http.route" not in span.attributes
    noted(here, odd=Strange())
    assert killed("f") == []


def test_a_file_of_this_very_process_is_left_alone(here: Path) -> None:
    """Our modules may be loaded a second time: what runs was not killed."""
    noted(here)
    assert killed("f", 0) == []


@pytest.mark.parametrize("shape", ["link", "folder", "readable", "pipe"])
def test_a_file_that_is_not_ours_is_not_touched(here: Path, shape: str) -> None:
    path, target = here / "faasight-f-0", here / "target"
    target.write_text("precious")
    if shape == "link":
        path.symlink_to(target)
    elif shape == "folder":
        path.mkdir()
    elif shape == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.write_text("precious")
        path.chmod(0o644)
    witness = Witness("f")
    assert witness.open(0) == []
    witness.settle()
    assert witness.begin(Span("invoke", 2, "a" * 32), 0) == 0
    assert target.read_text() == "precious"
    assert shape != "readable" or path.read_text() == "precious"
    assert (here / "faasight-f-1").stat().st_size > 0
