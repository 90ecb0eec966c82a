"""Kinds of starts under the real runtime client, and what they cost of our own."""

import base64
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import faasight
import pytest
from faasight.coldstart import ColdStart
from faasight.imports import ImportWatcher
from faasight.spans import now_ns
from polling import wait_until

ECHO = "def handler(event, context):\n    return {'got': event}\n"
SECOND = 10**9


@pytest.mark.parametrize(
    ("init_type", "after_s", "cold", "ahead"),
    [
        ("on-demand", 0.1, True, False),
        ("on-demand", 9.9, True, False),
        ("on-demand", 10.1, False, True),
        ("provisioned-concurrency", 0.1, False, False),
        ("lambda-managed-instances", 3_600, False, False),
        ("snap-start", 0.1, False, False),  # a snapshot that nobody told us of
        ("of-the-future", 0.1, False, False),
    ],
)
def test_who_waited_for_its_start(
    monkeypatch: pytest.MonkeyPatch, init_type: str, after_s: float, cold: bool, ahead: bool
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", init_type)
    start = ColdStart(ImportWatcher(0))
    start.handler_loaded()
    assert start.take(start.ended + int(after_s * SECOND)) == (cold, ahead)
    assert start.take(start.ended + int(after_s * SECOND)) == (False, False)


def test_a_proactive_init_is_no_cold_start(function: Any, sink: Any) -> None:
    """The platform starts sandboxes ahead of need: the clock of the first call is eleven seconds late."""
    clock = "import faasight.invocation as i, time\ni.now_ns = lambda: time.time_ns() + 11 * 10**9\n"
    sandbox = function(clock + ECHO)
    sandbox.invoke()
    sandbox.invoke()
    first, second = sorted(sink.wait(2), key=lambda span: span.raw.start_time_unix_nano)
    assert first.attributes["faas.coldstart"] is False
    assert first.attributes["faasight.proactive_init"] is True
    assert "faasight.proactive_init" not in second.attributes
    init = sink.named("INIT")
    assert [span.name for span in sink.spans()].count("invoke") == 2
    assert (init.parent_id, init.trace_id == first.trace_id) == ("", False), "no time of a user's request"
    (link,) = init.raw.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (first.trace_id, first.span_id)


HEAVY = (
    "import os, time\nimport app_heavy\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n"
    "    while 'until' in event and not os.path.exists(event['until']): time.sleep(0.01)\n"
)


def heavy(function: Any, tmp_path: Path, more: str = "", **environment: str) -> Any:
    """Start a function with an import worth a span."""
    (tmp_path / "app_heavy.py").write_text("import time\ntime.sleep(0.02)\n")
    return function(f"import sys\nsys.path.append({str(tmp_path)!r})\n{more}{HEAVY}", **environment)


def assert_told_once(sink: Any) -> Any:
    """Find the import once, below that of the function's own module, below INIT; return INIT."""
    wait_until(lambda: any(span.name == "INIT" for span in sink.spans()), "INIT is told")
    init, own = sink.named("INIT"), sink.named("import app")
    assert (own.parent_id, sink.named("import app_heavy").parent_id) == (init.span_id, own.span_id)
    return init


@pytest.mark.parametrize("init_type", ["provisioned-concurrency", "lambda-managed-instances", "on-demand"])
def test_imports_are_told_whoever_waited_for_them(function: Any, sink: Any, tmp_path: Path, init_type: str) -> None:
    sandbox = heavy(function, tmp_path, AWS_LAMBDA_INITIALIZATION_TYPE=init_type)
    for _ in range(3):
        sandbox.invoke()
    sink.wait(3)
    init = assert_told_once(sink)
    cold = [span.trace_id for span in sink.invocations() if span.attributes["faas.coldstart"]]
    assert cold == ([init.trace_id] if init_type == "on-demand" else [])


def test_imports_of_a_first_invocation_that_times_out(function: Any, sink: Any, tmp_path: Path) -> None:
    sandbox = heavy(function, tmp_path, FAASIGHT_START_AFTER="0")
    sandbox.send({"s": 60}, timeout_ms=3_000)
    (span,) = sink.wait()
    assert (span.attributes["faasight.outcome"], assert_told_once(sink).parent_id) == ("timeout", span.span_id)


def test_imports_of_a_first_invocation_that_is_killed(function: Any, sink: Any, tmp_path: Path) -> None:
    """They come with the word that it runs, and not a second time if it lives."""
    killed = heavy(function, tmp_path, FAASIGHT_START_AFTER="0.3")
    killed.send({"s": 60}, timeout_ms=90_000)
    (record,) = wait_until(sink.started, "it is told of")
    killed.process.kill()
    assert assert_told_once(sink).parent_id == record.parent_id
    sink.requests.clear()
    lives = heavy(function, tmp_path, FAASIGHT_START_AFTER="0.1")
    lives.send({"until": str(tmp_path / "told")})
    wait_until(sink.started, "it is told of")
    (tmp_path / "told").touch()
    lives.outcome()
    lives.invoke()
    (cold,) = [span for span in sink.wait(2) if span.attributes["faas.coldstart"]]
    assert cold.span_id in {record.parent_id for record in sink.started()}
    assert assert_told_once(sink).parent_id == cold.span_id


@pytest.mark.parametrize("ends", ["killed", "in time"])
def test_imports_of_an_init_that_nears_its_limit(function: Any, sink: Any, tmp_path: Path, ends: str) -> None:
    """AWS kills an init after ten seconds: what it did until the ninth is known then."""
    go = tmp_path / "go"
    slow = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)\n"
    (tmp_path / "app_slow.py").write_text(f"import app_heavy\n{slow}")
    late = "from faasight.agent import get\nget().watcher.late_at = 1\nimport app_slow\n"
    sandbox = heavy(function, tmp_path, late, FAASIGHT_IMPORT_THRESHOLD_MS="0")
    wait_until(lambda: any(span.name == "INIT" for span in sink.spans()), "it is told of")
    init, heavy_one = sink.named("INIT"), sink.named("import app_heavy")
    assert init.attributes["faasight.unfinished"] is True
    assert heavy_one.parent_id == sink.named("import app_slow").span_id
    assert sink.named("import app_slow").attributes["faasight.import.self_ms"] >= 0
    if ends == "killed":
        sandbox.process.kill()
        return
    go.touch()
    assert sandbox.invoke().kind == "response", sandbox.output()
    (span,) = sink.wait()
    inits = [one for one in sink.spans() if one.name == "INIT"]
    assert [one.parent_id for one in inits] == ["", span.span_id]
    assert {one.span_id for one in sink.spans() if one.name == "import app_heavy"} == {heavy_one.span_id}


@pytest.mark.parametrize("status", [429, 503, None])
def test_imports_outlive_a_collector_that_is_away_at_first(
    function: Any, sink: Any, tmp_path: Path, status: int | None
) -> None:
    """Refused, they are sent again; with nobody there, they are on stdout, for the log path."""
    sink.answer = lambda _: (503 if status is None else status, {}, b"")
    endpoint = sink.endpoint if status else "http://127.0.0.1:9"
    sandbox = heavy(function, tmp_path, FAASIGHT_COOLDOWN="0.01", FAASIGHT_ENDPOINT=endpoint)
    sandbox.invoke()
    if status is None:
        lines = wait_until(lambda: [line for line in sandbox.lines() if "faasight.otlp" in line], "it is on stdout")
        body = zlib.decompress(base64.b64decode(lines[0]["z"]))
        assert b"import app_heavy" in body
        return
    sink.answer = lambda _: (200, {}, b"")
    wait_until(lambda: sandbox.invoke() and any(span.name == "INIT" for span in sink.spans()), "it came")
    assert_told_once(sink)


SNAPSHOT = """
import faasight, os, time
from snapshot_restore_py import register_before_snapshot, register_after_restore
faasight.metric("loaded", 1)
faasight.flush()
@register_before_snapshot
def before():
    faasight.metric("ready", 1)
@register_after_restore
def after():
    faasight.metric("restored", 1)
    time.sleep(0.05)
def handler(event, context):
    return faasight.current_span().span_id
"""


def connections(pid: int, port: int) -> list[str]:
    """Return the process's open connections to a port of this machine."""
    sockets = set()
    for name in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets |= set(re.findall(r"socket:\[(\d+)\]", str(name.readlink())))
        except FileNotFoundError:
            continue
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[9] in sockets and row[2].endswith(f":{port:04X}") and row[3] == "01"]


def test_a_restore_is_the_cold_start_and_the_init_is_forgotten(function: Any, sink: Any) -> None:
    sandbox = function(SNAPSHOT, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert sandbox.api.before_snapshot.wait(180), sandbox.output()
    assert {metric.name for metric in sink.metrics()} == {"loaded", "ready"}
    assert connections(sandbox.process.pid, sink.port) == [], "a snapshot keeps no connection"
    thawed = now_ns()
    sandbox.api.restore.set()
    ids = {sandbox.invoke().body, sandbox.invoke().body}
    first, second = sorted(sink.wait(2), key=lambda span: span.raw.start_time_unix_nano)
    assert ids == {first.span_id, second.span_id}
    assert (first.attributes["faas.coldstart"], second.attributes["faas.coldstart"]) == (True, False)
    assert first.attributes["faasight.init_type"] == "snap-start"
    restore = sink.named("RESTORE")
    assert (restore.parent_id, restore.trace_id) == (first.span_id, first.trace_id)
    assert restore.attributes == {"faasight.phase": "restore", "faasight.init_type": "snap-start"}
    assert restore.raw.start_time_unix_nano >= thawed
    assert restore.raw.end_time_unix_nano - restore.raw.start_time_unix_nano >= 50_000_000, "with the function's hook"
    assert restore.raw.end_time_unix_nano <= first.raw.start_time_unix_nano
    assert not [span for span in sink.spans() if span.name == "INIT" or span.name.startswith("import ")]
    points = {metric.name: metric.sum.data_points[0] for metric in sink.metrics()}
    assert points.keys() == {"loaded", "ready", "restored"}
    assert points["restored"].start_time_unix_nano >= thawed, "a delta does not reach back to before the snapshot"


@pytest.mark.parametrize("answer", [500, None])
def test_a_collector_that_fails_does_not_fail_the_snapshot(function: Any, sink: Any, answer: int | None) -> None:
    sink.answer = lambda _: (answer, {}, b"")
    endpoint = sink.endpoint if answer else "http://127.0.0.1:9"
    sandbox = function(SNAPSHOT, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", FAASIGHT_ENDPOINT=endpoint)
    assert sandbox.api.before_snapshot.wait(180), sandbox.output()
    sandbox.api.restore.set()
    assert sandbox.invoke().kind == "response", sandbox.output()


def test_without_the_library_of_the_hooks_the_function_runs(function: Any, sink: Any, tmp_path: Path) -> None:
    """An old runtime client, or another one."""
    (tmp_path / "snapshot_restore_py.py").write_text("raise ImportError('not here')\n")
    code = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    run = [sys.executable, "-c", code + "from faasight.agent import get; get(); print('started')"]
    environment = {**os.environ, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "started\n"
    assert "SnapStart's restores are not seen" in done.stderr


def test_our_own_part_of_the_start_is_without_the_functions_imports(function: Any, sink: Any, tmp_path: Path) -> None:
    """With the decorator our import comes first as a rule, and then those of the function."""
    (tmp_path / "slow_library.py").write_text("import time\ntime.sleep(0.6)\n")
    code = f"import sys\nsys.path.append({str(tmp_path)!r})\nimport faasight\nimport slow_library\n@faasight.observe\n"
    runtime = [sys.executable, "-m", "awslambdaric", "app.handler"]
    function(code + ECHO, command=runtime).invoke()
    function(code + ECHO).invoke()
    sink.wait(2)
    told = [span for span in sink.spans() if span.name == "INIT"]
    assert len(told) == 2
    for init in told:
        whole_ms = (init.raw.end_time_unix_nano - init.raw.start_time_unix_nano) / 1e6
        assert 0.1 < init.attributes["faasight.overhead_ms"] < whole_ms - 590


def test_our_own_part_of_an_invocation_is_told_with_the_next(agent: Any, sink: Any) -> None:
    @faasight.observe
    def handler(event: object, context: object) -> None:
        """Do nothing."""

    slow = agent.delivery.flush

    def flush(budget: float) -> None:
        slow(budget)
        until = now_ns() + 30_000_000
        while now_ns() < until:
            pass

    agent.delivery.flush = flush
    handler({}, None)
    handler({}, None)
    first, second = sorted(sink.wait(2), key=lambda span: span.raw.start_time_unix_nano)
    assert first.attributes["faasight.overhead_ms"] > 0
    assert second.attributes["faasight.overhead_ms"] >= 30
