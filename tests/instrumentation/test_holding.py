"""A busy function sends every few seconds, and nothing that is held is lost silently, whatever ends it."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faasight
import pytest
from faasight import holding
from faasight.agent import Agent
from google_host import Serve
from polling import wait_until

HOUR = {"FAASIGHT_FLUSH_EVERY": "3600"}
CODE = """
import os, faasight.holding
faasight.holding.EXTENSIONS = os.environ["EXTENSIONS"]
def handler(event, context):
    with faasight.span("work"):
        exec(event.get("do", ""))
    return "done"
"""
QUIET = signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT  # how Lambda ends a sandbox that it has frozen


@pytest.fixture
def holder(sink: Any, new_agent: Callable[..., Agent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an agent of this process that holds; it is no Lambda's."""

    def make(**environment: str) -> Agent:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        agent = new_agent(FAASIGHT_ENDPOINT=sink.endpoint, **(HOUR | environment))
        agent.report_killed()
        agent._hold()
        return agent

    return make


@pytest.fixture
def lambda_function(function: Any, tmp_path: Path) -> Any:
    """Start a function whose sandbox has an extension, and whose temporary folder outlives the process."""
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions" / "faasight").touch()
    (tmp_path / "tmp").mkdir()

    def start(**environment: str) -> Any:
        own = {"EXTENSIONS": str(tmp_path / "extensions"), "TMPDIR": str(tmp_path / "tmp")}
        return function(CODE, **(HOUR | own | environment))

    return start


def call(sandbox: Any, times: int) -> None:
    """Invoke, and wait until the runtime asks for the next event: a sandbox is frozen then, and not before."""
    for _ in range(times):
        sandbox.send()
        sandbox.api.ready.clear()
        assert sandbox.outcome().body == "done"
        assert sandbox.api.ready.wait(60)


def ids(sink: Any) -> list[str]:
    """Return the ids of the invocations that came, in order."""
    return [span.attributes["faas.invocation_id"] for span in sink.invocations()]


def noted(folder: Path) -> int:
    """Count the notes of what runs or is held."""
    files = [file.read_bytes() for file in (folder / "tmp").glob("faasight-*")]
    return sum(data[i : i + 1] == b"R" for data in files for i in range(0, 64 * 2_048, 2_048))


def test_the_first_goes_at_once_and_the_next_wait_for_each_other(holder: Any, sink: Any) -> None:
    holder()
    handler = faasight.observe(lambda event, _context: event)
    for n in range(10):
        assert handler(n, None) == n
    assert len(sink.wait(1)) == 1
    faasight.flush()
    assert len(set(ids(sink) + [span.attributes["faas.invocation_id"] for span in sink.wait(10)])) == 10
    assert len(sink.requests) == 2, "nine of them in one request"


def test_when_the_time_is_over_all_goes_though_nobody_calls(holder: Any, sink: Any) -> None:
    holder(FAASIGHT_FLUSH_EVERY="0.05")
    handler = faasight.observe(lambda event, _context: event)
    for n in range(5):
        handler(n, None)
    assert len(sink.wait(5)) == 5
    handler(5, None)  # the timer's thread has ended, or goes on
    handler(6, None)
    assert len(sink.wait(7)) == 7


def test_a_failure_takes_all_along_at_once(holder: Any, sink: Any) -> None:
    holder()

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        if event:
            raise ValueError("wrong")

    handler({}, None)
    handler({}, None)
    with pytest.raises(ValueError, match="wrong"):
        handler({"fail": 1}, None)
    assert [span.attributes["faasight.outcome"] for span in sink.wait(3)] == ["ok", "ok", "error"]


@pytest.mark.parametrize("how", ["many", "many spans", "memory"])
def test_what_is_held_is_bounded(holder: Any, sink: Any, how: str) -> None:
    """Many invocations, many spans, and where a kill is likely nothing at all."""
    agent = holder(FAASIGHT_MASK="off")
    if how == "memory":
        agent.crowded = 1

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        for _ in range(1_100 if how == "many spans" else 0):
            with faasight.span("step"):
                pass

    for _ in range({"many": holding._MOST + 2}.get(how, 3)):
        handler({}, None)
    assert len(sink.wait({"many": holding._MOST + 2, "memory": 3}.get(how, 2))) >= 2


def test_where_no_note_can_be_made_nothing_is_held(holder: Any, sink: Any) -> None:
    """A full disk, or more at once than there are notes for."""
    agent = holder()
    agent.witness._free.clear()
    handler = faasight.observe(lambda event, _context: event)
    handler(1, None)
    handler(2, None)
    assert len(sink.wait(2)) == 2


def test_threads_lose_and_double_nothing(holder: Any, sink: Any) -> None:
    holder(FAASIGHT_FLUSH_EVERY="0.01")
    handler = faasight.observe(lambda event, _context: event)
    threads = [threading.Thread(target=lambda: [handler(n, None) for n in range(40)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faasight.flush()
    sink.wait(320)
    assert len(ids(sink)) == len(set(ids(sink))) == 320


def test_a_frozen_sandbox_that_is_ended_sends_what_it_holds(lambda_function: Any, sink: Any) -> None:
    """AWS's client waits in C through signals: no handler in Python would run."""
    sandbox = lambda_function()
    call(sandbox, 6)
    assert len(sink.wait(1)) == 1
    for number in QUIET:
        sandbox.process.send_signal(number)
    assert sandbox.process.wait(60) == 143
    assert len(set(ids(sink))) == len(sink.wait(6)) == 6
    assert len([span for span in sink.spans() if span.name == "work"]) == 6


def test_a_killed_sandbox_is_told_of_by_the_next_process(lambda_function: Any, sink: Any, tmp_path: Path) -> None:
    """Out of memory, a crash: what was held ran well and is told so; what was within is lost, and that is said."""
    first = lambda_function()
    call(first, 4)
    assert noted(tmp_path) == 3, "the first is sent, three are held"
    first.process.kill()
    first.process.wait(60)
    second = lambda_function()
    second.invoke()
    spans = sink.wait(5)
    partial = [span for span in spans if "faasight.partial" in span.attributes]
    assert len(partial) == 3
    for span in partial:
        assert (span.attributes["faasight.outcome"], span.raw.status.code) == ("ok", 0)
        assert not {"faasight.killed", "error.type"} & set(span.attributes)
        took = span.raw.end_time_unix_nano - span.raw.start_time_unix_nano
        assert 0 <= took < 60e9, "its own end and not that of the sandbox"
    assert len({span.span_id for span in spans}) == 5
    third = lambda_function()
    third.invoke()
    assert len(sink.wait(6)) == 6, "told once"


def test_kills_at_random_instants_lose_no_invocation(lambda_function: Any, sink: Any, tmp_path: Path) -> None:
    """Each that was answered is told of; twice only if the kill came between its sending and the blotting of its note.

    Who finds such notes holds nothing itself: so one that sends at once is started in between.
    """
    dice = random.Random(7)
    rounds, calls = 4, 6
    for _ in range(rounds):
        sandbox = lambda_function(FAASIGHT_FLUSH_EVERY="0.01")
        call(sandbox, calls)
        sandbox.send({"do": "import time; time.sleep(0.01)"})
        time.sleep(dice.uniform(0, 0.03))  # the instant of the kill, which is what this is about
        sandbox.process.kill()
        sandbox.process.wait(60)
        after = lambda_function(FAASIGHT_FLUSH_EVERY="0")
        call(after, 1)
        assert noted(tmp_path) == 0
        after.process.kill()
        after.process.wait(60)
    told: dict[str, list[str]] = {}
    answered = rounds * (calls + 1)
    wait_until(lambda: len({span.span_id for span in sink.invocations()}) >= answered, "all are told of")
    for span in sink.invocations():
        told.setdefault(span.span_id, []).append(span.attributes["faasight.outcome"])
    assert sum("ok" in outcomes for outcomes in told.values()) >= answered
    assert len(told) <= answered + rounds
    assert all(len(outcomes) <= 2 for outcomes in told.values())


def test_a_time_out_takes_along_what_is_held(lambda_function: Any, sink: Any, tmp_path: Path) -> None:
    sandbox = lambda_function()
    call(sandbox, 3)
    assert noted(tmp_path) == 2, "one is sent, two are held"
    hangs = sandbox.send({"do": "import threading; threading.Event().wait(300)"}, timeout_ms=3_000)
    spans = {span.attributes["faas.invocation_id"]: span for span in sink.wait(4)}
    assert spans[hangs].attributes["faasight.outcome"] == "timeout"
    wait_until(lambda: noted(tmp_path) == 0, "none of them would be told again")


def test_without_an_extension_nothing_is_held_and_it_says_so(function: Any, sink: Any, tmp_path: Path) -> None:
    sandbox = function(CODE, EXTENSIONS=str(tmp_path / "none"), **HOUR)
    for n in range(3):
        sandbox.invoke()
        sink.wait(n + 1)
    assert sandbox.output().count("FAASIGHT_FLUSH_EVERY needs an extension") == 1


def test_a_managed_instance_is_never_frozen_and_needs_none(function: Any, sink: Any, tmp_path: Path) -> None:
    kind = {"AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"}
    sandbox = function(CODE, EXTENSIONS=str(tmp_path / "none"), FAASIGHT_FLUSH_EVERY="0.05", **kind)
    call(sandbox, 3)
    assert len(sink.wait(3)) == 3
    assert sandbox.output() == ""


SIGNALS = """
import os, signal, sys, time
told = []
if sys.argv[1] == "own":
    signal.signal(signal.SIGTERM, lambda *_: told.append("mine"))
import faasight, faasight.holding
faasight.holding.EXTENSIONS = os.environ["EXTENSIONS"]
@faasight.observe
def handler(event, context):
    pass
if sys.argv[1] == "later":
    signal.signal(signal.SIGTERM, lambda *_: told.append("mine"))
handler({}, None)
handler({}, None)
if sys.argv[1] == "fork":
    child = os.fork()
    if child == 0:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        print("ready", flush=True)
        time.sleep(300)
    print(sys.stdin.readline().strip(), flush=True)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    print("killed by", os.WTERMSIG(status), flush=True)
else:
    print("ready", flush=True)
    while not told: time.sleep(0.01)
    print(*told)
"""


@pytest.mark.parametrize(("how", "ends"), [("none", 143), ("own", 0), ("later", 0), ("fork", 0)])
def test_signals_are_the_functions_own(sink: Any, tmp_path: Path, how: str, ends: int) -> None:
    """A handler of its own runs and decides; a child dies of SIGTERM; what is held arrives in each case, once."""
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions" / "faasight").touch()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("FAASIGHT_")},
        "FAASIGHT_ENDPOINT": sink.endpoint,
        "FAASIGHT_FLUSH_TIMEOUT": "10",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "TMPDIR": str(tmp_path),
        "EXTENSIONS": str(tmp_path / "extensions"),
        **HOUR,
    }
    with subprocess.Popen(
        [sys.executable, "-c", SIGNALS, how], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        if how == "fork":
            process.stdin.write("go\n")
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
        assert process.wait(60) == ends
    assert said == {"none": "", "fork": f"go\nkilled by {signal.SIGTERM.value}\n"}.get(how, "mine\n")
    assert len(set(ids(sink))) == len(sink.wait(2)) == 2


def test_at_google_what_is_held_comes_with_the_instance_s_end(serve: Serve, sink: Any) -> None:
    """A worker of gunicorn's ends by SIGTERM, as Google ends an instance."""
    framework = serve(**HOUR)
    assert [framework.call().status for _ in range(4)] == [200] * 4
    assert len(sink.wait(1)) == 1
    framework.process.send_signal(signal.SIGTERM)
    framework.process.wait(60)
    assert len(set(ids(sink))) == len(sink.wait(4)) == 4


def test_without_a_collector_it_goes_to_the_log_all_the_same(lambda_function: Any) -> None:
    sandbox = lambda_function(FAASIGHT_ENDPOINT="http://127.0.0.1:9")
    call(sandbox, 4)
    for number in QUIET:
        sandbox.process.send_signal(number)
    assert sandbox.process.wait(60) == 143
    lines = [json.loads(line) for line in sandbox.output().splitlines() if line.startswith('{"faasight.otlp"')]
    assert len(lines) == 2, "one for the first, one for the three that were held"
