"""What functions do that nobody would think of: each runs as it would without us, and is seen."""

import asyncio
import functools
import importlib
import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight import spans
from polling import wait_until

ECHO = "def handler(event, context):\n    return {'got': event}\n"


def test_a_function_whose_module_is_named_like_one_of_the_standard_library(function: Any, sink: Any) -> None:
    """Its folder comes first on the path: `import resource` would find it, and run it."""
    code = "print('loaded')\nfrom resource import handler\n"
    command = [sys.executable, "-m", "awslambdaric", "resource.handler"]
    sandbox = function(code)
    sandbox.close()
    folder = Path(sandbox._output.name).parent
    (folder / "resource.py").write_text("print('loaded')\n" + ECHO)
    again = function(ECHO, command=[*_wrapper(), *command], PYTHONPATH=str(folder))
    assert [again.invoke({"a": 1}).body, again.invoke({"a": 2}).body] == [{"got": {"a": 1}}, {"got": {"a": 2}}]
    assert again.output() == "loaded\n", "once, and nobody complains"
    assert all(span.attributes["faasight.memory_used"] > 1_000_000 for span in sink.wait(2))


def _wrapper() -> list[str]:
    return [str(Path(faasight.__file__).with_name("faasight-exec"))]


def test_a_module_that_hides_the_standard_one_is_not_imported_by_us(function: Any, sink: Any) -> None:
    sandbox = function("import pathlib, sys\nhere = pathlib.Path(__file__).parent\n" + ECHO)
    (Path(sandbox._output.name).parent / "resource.py").write_text("raise SystemExit('not to be run')\n")
    assert sandbox.invoke().kind == "response", sandbox.output()
    (span,) = sink.wait()
    assert span.attributes["faasight.memory_used"] > 1_000_000


def test_twice_decorated_is_observed_once(agent: Any, sink: Any) -> None:
    @faasight.observe
    @faasight.observe(name="inner")
    def handler(event: Any, context: Any) -> str:
        return "done"

    assert faasight.observe(functools.partial(handler, {}))(None) == "done"
    (span,) = sink.wait()
    assert span.attributes["faasight.outcome"] == "ok"
    assert len(sink.invocations()) == 1


class Called:
    """A handler that is an object."""

    def __call__(self, event: Any, _context: Any) -> Any:
        """Answer."""
        return event


class Awaited:
    """The same, to be awaited."""

    async def __call__(self, event: Any, _context: Any) -> Any:
        """Answer."""
        await asyncio.sleep(0)
        return event


def test_handlers_that_are_no_plain_functions(agent: Any, sink: Any) -> None:
    class Methods:
        @faasight.observe
        def own(self, event: Any) -> Any:
            return event

        @staticmethod
        def static(event: Any) -> Any:
            return event

    assert faasight.observe(Called())("a", None) == "a"
    assert asyncio.run(faasight.observe(Awaited())("b", None)) == "b"
    assert faasight.observe(Methods().static)("c") == "c"
    assert faasight.observe(functools.partial(Called(), _context=None))("d") == "d"
    assert Methods().own("e") == "e"
    assert len(sink.wait(5)) == 5


def test_a_module_is_reloaded(agent: Any, sink: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reloaded_app.py").write_text(f"import faasight\n@faasight.observe\n{ECHO}")
    monkeypatch.syspath_prepend(tmp_path)
    app = importlib.import_module("reloaded_app")
    old = app.handler
    app = importlib.reload(app)
    for handler in (old, app.handler):
        assert handler("x", None) == {"got": "x"}
    assert [span.attributes["faasight.outcome"] for span in sink.wait(2)] == ["ok", "ok"]


def test_a_system_exit_in_a_thread_ends_that_thread(function: Any, sink: Any) -> None:
    code = (
        "import faasight, sys, threading\ndef handler(event, context):\n"
        "    thread = threading.Thread(target=sys.exit, args=(3,))\n"
        "    thread.start()\n    thread.join()\n    return 'on'\n"
    )
    sandbox = function(code)
    assert [sandbox.invoke().body, sandbox.invoke().body] == ["on", "on"]
    assert [span.attributes["faasight.outcome"] for span in sink.wait(2)] == ["ok", "ok"]


def test_threads_that_are_none(function: Any, sink: Any, tmp_path: Path) -> None:
    """With gevent, imported later, `threading.Thread` is a part of the main thread: who waits there, waits on."""
    code = (
        "import os, threading, time\nthreading.Thread.start = lambda self: self.run()\n"
        "def handler(event, context):\n"
        "    while event and not os.path.exists(event['until']): time.sleep(0.01)\n    return event\n"
    )
    sandbox = function(code, FAASIGHT_START_AFTER="0.1")
    assert sandbox.invoke().body == {}
    event = {"until": str(tmp_path / "told")}
    second = sandbox.send(event)
    wait_until(
        lambda: second in {record.attributes["faas.invocation_id"] for record in sink.started()}, "it is told of"
    )
    (tmp_path / "told").touch()
    assert sandbox.outcome().body == event
    assert len(sink.wait(2)) == 2


@pytest.mark.parametrize("end", ["import sys; sys.exit(3)", "import os; os._exit(3)", "raise KeyboardInterrupt"])
def test_an_exit_within_init_is_the_functions_own(function: Any, sink: Any, end: str) -> None:
    bare, wrapped = function(f"{end}\n", wrapped=False), function(f"{end}\n")
    ends = [(one.outcome().kind, one.process.wait(180)) for one in (bare, wrapped)]
    assert ends[0] == ends[1]
    told = [span.attributes["error.type"] for span in sink.spans() if span.name == "INIT"]
    expected = {"sys.exit(3)": ["SystemExit"], "KeyboardInterrupt": ["KeyboardInterrupt"], "os._exit(3)": []}
    assert told == expected[end.split()[-1]]


@pytest.mark.parametrize("folder", ["/proc/self", "/dev/null", "/no/such/folder", "~"])
def test_no_folder_for_notes(new_agent: Any, sink: Any, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """A read-only /tmp, for one."""
    monkeypatch.setenv("TMPDIR", folder)
    agent = new_agent(FAASIGHT_ENDPOINT=sink.endpoint)
    agent.report_killed()
    assert faasight.observe(lambda event, _: event)("x", None) == "x"
    assert sink.wait()[0].attributes["faasight.outcome"] == "ok"


def test_a_clock_that_is_put_back(agent: Any, sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends before it began; what is sent can be read by any backend."""
    late = time.time_ns()
    times = iter(range(late, 0, -(10**9)))
    for module in ("invocation", "tracing", "spans", "metrics", "coldstart"):
        monkeypatch.setattr(f"faasight.{module}.now_ns", lambda: next(times))

    def handler(event: Any, context: Any) -> None:
        with faasight.span("step") as step:
            step.event("seen")
        faasight.metric("orders", 1)

    faasight.observe(handler)({}, SimpleNamespace(get_remaining_time_in_millis=lambda: 3_000))
    sink.wait()
    for span in sink.spans():
        assert span.raw.end_time_unix_nano >= span.raw.start_time_unix_nano > 0
    monkeypatch.undo()
    agent.delivery.flush(1)
    for metric in sink.metrics():
        (point,) = metric.sum.data_points
        assert point.time_unix_nano >= point.start_time_unix_nano


def test_a_signal_that_strikes_within_us_leaves_nothing_behind(agent: Any, sink: Any) -> None:
    """A handler of SIGTERM that raises SystemExit may strike anywhere; what survives it is observed again."""
    handler = faasight.observe(lambda event, _: event)
    before = agent.know_account, agent.delivery.flush

    def strike(*_: object) -> None:
        raise SystemExit(1)

    agent.know_account = strike
    with pytest.raises(SystemExit):
        handler("x", None)
    agent.know_account = before[0]
    assert faasight.current_span() is None
    agent.delivery.flush = strike
    with pytest.raises(SystemExit):
        handler("x", None)
    agent.delivery.flush = before[1]
    assert faasight.current_span() is None
    assert handler("y", None) == "y"
    assert len(sink.wait(2)) == 2


def test_what_fails_to_begin_is_not_told_as_killed(
    agent: Any, sink: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("faasight.complain.complaints.strict", False)
    agent.report_killed()

    def broken(_span: object) -> None:
        raise ValueError("the bridge is broken")

    monkeypatch.setattr("faasight.tracing.bridge", broken)
    assert faasight.observe(lambda event, _: event)("x", None) == "x"
    assert faasight.current_span() is None
    (note,) = tmp_path.glob("faasight-*")
    assert b"R(" not in note.read_bytes()


def test_a_thread_that_outlives_its_invocation_stays_in_its_trace(agent: Any, sink: Any) -> None:
    import contextvars

    go, done = threading.Event(), threading.Event()

    def later() -> None:
        go.wait(180)
        with faasight.span("afterwards"):
            pass
        done.set()

    def handler(event: Any, context: Any) -> str:
        threading.Thread(target=contextvars.copy_context().run, args=(later,)).start()
        return faasight.current_span().trace_id  # type: ignore[union-attr]  # there is one

    observed = faasight.observe(handler)
    first = observed({}, None)
    faasight.observe(lambda *_: go.set())({}, None)
    assert done.wait(180)
    faasight.flush()
    wait_until(lambda: len(sink.spans()) == 4, "two invocations, INIT and the late span are there")
    assert sink.named("afterwards").trace_id == first


def test_a_generator_that_is_left_open_and_dropped_later(agent: Any, sink: Any) -> None:
    """Its span closes then, in the same thread, and puts back what was current in an invocation that is long over."""
    kept: list[Any] = []

    def chunks() -> Any:
        with faasight.span("chunk"):
            yield 1

    def handler(event: Any, context: Any) -> Any:
        kept.append(chunks())
        return next(kept[-1])

    observed = faasight.observe(handler)
    assert observed({}, None) == 1
    kept.clear()
    assert observed({}, None) == 1
    kept.clear()
    assert asyncio.run(faasight.observe(Awaited().__call__)("x", None)) == "x"
    assert faasight.observe(lambda event, _: event)("y", None) == "y"
    assert faasight.current_span() is None
    assert len(sink.wait(4)) == 4
    assert len({span.trace_id for span in sink.invocations()}) == 4


def test_a_sandbox_that_is_told_to_end_ends(function: Any, sink: Any) -> None:
    sandbox = function(ECHO)
    sandbox.invoke()
    sink.wait()
    sandbox.process.send_signal(signal.SIGTERM)
    assert sandbox.process.wait(180) == -signal.SIGTERM


def test_captured_payloads_of_any_kind_change_nothing(new_agent: Any, sink: Any) -> None:
    new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_CAPTURE="event,result", FAASIGHT_STRICT="0")
    payloads: list[Any] = [object(), iter(()), {1: {2: {3}}}, b"x" * 100, json, lambda: None, type, {"a": float("inf")}]
    for payload in payloads:
        assert faasight.observe(lambda event, _: event)(payload, None) is payload
    assert len(sink.wait(len(payloads))) == len(payloads)
    assert spans.safe_str(sink.spans()[0].attributes["faasight.event"]).startswith('"<')
