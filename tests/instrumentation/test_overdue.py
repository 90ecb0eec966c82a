"""Who takes long is told of while it runs, so that a kill is known even if nothing ever runs in that sandbox again."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight_collector import Collector
from faasight_store import Scope, Store
from faasight_store.queries import invocations, traces
from faasight_store.times import from_ns
from polling import wait_until

SLEEPS = "import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return 'done'\n"
WAITS = (
    "import pathlib, time\ndef handler(event, context):\n"
    "    while 'until' in event and not pathlib.Path(event['until']).exists(): time.sleep(0.01)\n"
)
QUEUE = {
    "Records": [{
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:1:orders", "messageId": "m-1", "body": "",
        "attributes": {}, "messageAttributes": {"traceparent": {"stringValue": f"00-{'a' * 32}-{'b' * 16}-01"}},
    }]
}  # fmt: skip


def kill(sandbox: Any) -> None:
    sandbox.process.send_signal(signal.SIGKILL)
    sandbox.process.wait(180)


def test_only_who_takes_long_is_told_of_and_once(function: Any, sink: Any, tmp_path: Path) -> None:
    sandbox = function(WAITS, FAASIGHT_START_AFTER="0.2")
    for _ in range(20):
        sandbox.invoke()
    long = sandbox.send({"until": str(tmp_path / "told"), **QUEUE})
    wait_until(lambda: long in {record.attributes["faas.invocation_id"] for record in sink.started()}, "it is told of")
    (tmp_path / "told").touch()
    sandbox.outcome()
    sink.wait(21)
    ends = {span.span_id: span for span in sink.invocations()}
    took = {key: span.raw.end_time_unix_nano - span.raw.start_time_unix_nano for key, span in ends.items()}
    slow = next(key for key, span in ends.items() if "faasight.source.name" in span.attributes)
    told_of = [record.parent_id for record in sink.started()]
    assert len(set(told_of)) == len(told_of)
    assert {slow} <= set(told_of) <= {key for key in took if took[key] >= 0.19e9}, "a busy machine may be slow itself"
    ended, record = ends[slow], next(record for record in sink.started() if record.parent_id == slow)
    assert (record.name, record.trace_id) == (f"{ended.name} (started)", ended.trace_id)
    assert record.raw.start_time_unix_nano == ended.raw.start_time_unix_nano == record.raw.end_time_unix_nano
    assert record.attributes["faasight.start.parent_id"] == "b" * 16
    told = {key: record.attributes[key] for key in ("faas.invocation_id", "faas.trigger", "faasight.source.name")}
    assert told.items() <= ended.attributes.items()
    assert "faasight.outcome" not in record.attributes
    assert "faasight.source.ids" not in record.attributes


@pytest.mark.parametrize(("after", "timeout_ms"), [("0", 10_000), ("0.8", 800)])
def test_off_and_later_than_the_time_out_nothing_is_told(function: Any, sink: Any, after: str, timeout_ms: int) -> None:
    sandbox = function(SLEEPS, FAASIGHT_START_AFTER=after)
    sandbox.invoke({"s": 0.5}, timeout_ms=timeout_ms)
    sink.wait()
    assert sink.started() == []


def test_a_time_out_follows_the_start(function: Any, sink: Any) -> None:
    sandbox = function(SLEEPS, FAASIGHT_START_AFTER="0.2")
    sandbox.send({"s": 60}, timeout_ms=3_000)
    (span,) = sink.wait()
    assert span.attributes["faasight.outcome"] == "timeout"
    assert [record.parent_id for record in sink.started()] == [span.span_id]


EATS = (
    "import time\nheld = b'x' * 0\ndef handler(event, context):\n    global held\n"
    "    if event.get('mb'):\n        held = b'x' * (event['mb'] << 20)\n    time.sleep(event.get('s', 0))\n"
)


@pytest.mark.parametrize("eats_at", ["first", "before"])
def test_who_is_near_its_memory_limit_is_told_of_early(function: Any, sink: Any, eats_at: str) -> None:
    """A kill is likely there, and may come within the first second: not a minute's default would tell of it."""
    code = EATS.replace("* 0", "* (210 << 20)") if eats_at == "before" else EATS
    sandbox = function(code, FAASIGHT_START_AFTER="600")  # of 256 MiB
    if eats_at == "first":
        sandbox.invoke({"mb": 210})
    sandbox.send({"s": 60}, timeout_ms=90_000)
    wait_until(sink.started, "it is told of")
    kill(sandbox)


def test_who_was_killed_here_before_is_told_of_early(function: Any, sink: Any, tmp_path: Path) -> None:
    told = {"FAASIGHT_START_AFTER": "600", "TMPDIR": str(tmp_path)}
    first = function(SLEEPS, **told)
    first.send({"s": 60}, timeout_ms=90_000)
    wait_until(lambda: (tmp_path / "faasight-checkout-0").read_bytes().startswith(b"R"), "it runs")
    assert sink.started() == []
    kill(first)
    again = function(SLEEPS, **told)
    again._count = 100
    again.send({"s": 60}, timeout_ms=90_000)
    (record,) = wait_until(sink.started, "it is told of")
    assert record.attributes["faas.invocation_id"].endswith("101")
    kill(again)


def test_what_has_ended_within_a_killed_one_is_not_lost(function: Any, sink: Any) -> None:
    code = (
        "import faasight, time\ndef handler(event, context):\n"
        "    with faasight.span('charge'):\n        pass\n    time.sleep(60)\n"
    )
    sandbox = function(code, FAASIGHT_START_AFTER="0.2")
    sandbox.send(timeout_ms=3_600_000)
    wait_until(sink.started, "it is told of")
    kill(sandbox)
    assert sink.named("charge").parent_id == sink.started()[0].parent_id
    assert sink.invocations() == []


def test_without_a_collector_it_goes_to_stdout(function: Any) -> None:
    sandbox = function(SLEEPS, FAASIGHT_START_AFTER="0.2", FAASIGHT_ENDPOINT="http://127.0.0.1:9")
    sandbox.send({"s": 60})
    wait_until(lambda: '{"faasight.otlp":"traces"' in sandbox.output().replace(" ", ""), "the line is there")
    kill(sandbox)


@pytest.mark.parametrize(("left_ms", "counts"), [(None, False), (60_000, True), (900_000, True), (3_600_000, False)])
def test_who_may_run_for_long_is_told_of_and_never_taken_for_lost(
    new_agent: Callable[..., Any], sink: Any, left_ms: int | None, counts: bool
) -> None:
    """A function of one's own has no time limit, Cloud Run's may be an hour: only the trace shows the record then."""
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: left_ms) if left_ms else None
    new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_START_AFTER="0.05")

    @faasight.observe
    def handler(event: object, context: object) -> None:
        wait_until(sink.started, "it is told of")

    handler({}, context)
    (record,) = sink.started()
    assert record.parent_id == sink.wait()[0].span_id
    assert ("faas.invocation_id" in record.attributes) is counts


@pytest.fixture
def platform(
    store_named: Callable[[str, str], Store], collector_before: Callable[[Store], Collector]
) -> tuple[Store, str]:
    """Run a collector before a store."""
    store = store_named("embedded", "shared")
    return store, f"http://{collector_before(store).http_address}"


def test_killed_ones_are_known_and_each_has_one_outcome(function: Any, platform: Any, tmp_path: Path) -> None:
    """Five run at once, and three are killed: of one alone the sandbox is used again."""
    store, endpoint = platform
    name = f"killed-{time.time_ns()}"
    scope = Scope(from_ns(time.time_ns()) - timedelta(minutes=5), from_ns(time.time_ns()) + timedelta(minutes=5))

    code = (
        "import pathlib, time\ndef handler(event, context):\n"
        "    while not pathlib.Path(event['until']).exists():\n        time.sleep(0.02)\n    return 'done'\n"
    )

    def start(folder: str) -> Any:
        (tmp_path / folder).mkdir(exist_ok=True)
        return function(
            code, AWS_LAMBDA_FUNCTION_NAME=name, TMPDIR=str(tmp_path / folder), FAASIGHT_ENDPOINT=endpoint,
            FAASIGHT_START_AFTER="0.2",
        )  # fmt: skip

    def told() -> Counter[str]:
        return Counter(one.outcome for one in invocations.recent(store, scope, name, running=True))

    sandboxes = [start(f"sandbox-{i}") for i in range(5)]
    for i, sandbox in enumerate(sandboxes):
        for _ in range(i + 1):  # request ids are counted in each sandbox: these make them differ
            sandbox._count += 100
        sandbox.send({"until": str(tmp_path / ("go" if i < 2 else "never"))}, timeout_ms=900_000)
    wait_until(lambda: told() == {"running": 5}, "all are known to run")
    (one, *_) = invocations.recent(store, scope, name, running=True)
    shown = traces.trace(store, one.trace_id)
    roots = [span for span in shown.spans if not span.parent_span_id]
    assert [span.name for span in roots] == ["invoke (started)"]
    assert {span.parent_span_id for span in shown.spans if span.name == "INIT"} == {roots[0].span_id}
    assert invocations.totals(store, scope, name).invocations == 0, "what runs is not counted yet"

    for sandbox in sandboxes[2:]:
        kill(sandbox)
    (tmp_path / "go").touch()
    for sandbox in sandboxes[:2]:
        assert sandbox.outcome().body == "done"
        sandbox.invoke({"until": str(tmp_path)})  # its flush reads the answer to the one before
    again = start("sandbox-2")
    again._count = 900
    again.invoke({"until": str(tmp_path)})
    wait_until(lambda: told() == {"ok": 5, "error": 1, "running": 2}, "each has its own outcome")
    listed = invocations.recent(store, scope, name, running=True)
    assert len({one.request_id for one in listed}) == len(listed) == 8
    assert Counter(one.error_type for one in listed) == {"": 7, "killed": 1}
    for one in listed:
        spans = traces.trace(store, one.trace_id).spans
        assert [span.name for span in spans if span.kind == 2 or span.name.endswith("(started)")] == [
            "invoke (started)" if one.outcome == "running" else "invoke"
        ]
