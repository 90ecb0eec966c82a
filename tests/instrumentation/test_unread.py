"""An invocation's span is read when somebody asks, or when the answer is out: what it tells is what came."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight import snapshot
from faasight.afterwards import send_due
from faasight.context import current
from faasight.invocation import begin, finish
from faasight.spans import Span, Unread
from faasight.triggers import Trigger, essence, recognise, told
from hypothesis import given
from hypothesis import strategies as st
from killed_notes import killed
from lambda_events import JUNK, SAMPLES, paths, put

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
AWAITED = {
    "api_gateway_v1", "api_gateway_v2", "function_url", "load_balancer", "load_balancer_multi_value",
    "step_functions_input",
}  # fmt: skip
CHANGES = {
    "faas.coldstart", "faasight.iterator_age_ms", "faasight.memory_used", "faasight.overhead_ms",
    "faasight.queue_wait_ms", "faasight.timeout_ms",
}  # fmt: skip


@pytest.fixture(autouse=True)
def left() -> Iterator[None]:
    """Leave no invocation behind that a later test's would look like a call within."""
    yield
    current.set(None)


def context(request_id: str = "r1") -> Any:
    return SimpleNamespace(aws_request_id=request_id, get_remaining_time_in_millis=lambda: 30_000)


def wreck(value: Any) -> None:
    """Take everything out of an event, from within."""
    for item in list(value.values() if isinstance(value, dict) else value):
        if isinstance(item, (dict, list)):
            wreck(item)
    value.clear()


def known(trigger: Trigger) -> dict[str, Any]:
    """Return all that a trigger holds."""
    parents = [(remote.trace_id, remote.span_id, remote.state) for remote in trigger.parents]
    return {**{slot: getattr(trigger, slot) for slot in Trigger.__slots__}, "parents": parents}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_handler_does_to_its_event_changes_nothing_that_is_told(agent: Any, sink: Any, name: str) -> None:
    @faasight.observe
    def handler(event: Any, _context: Any) -> None:
        if event.pop("wreck"):
            wreck(event)

    whole = json.loads(SAMPLES[name])
    if not isinstance(whole, dict):
        pytest.skip("a bare list has no room for the mark, and is read at once")
    for wrecked in (False, True):
        handler({**json.loads(SAMPLES[name]), "wreck": wrecked}, context())
    one, other = sink.wait(2)
    assert (one.name, one.raw.kind, one.parent_id) == (other.name, other.raw.kind, other.parent_id)
    assert [link.span_id for link in one.raw.links] == [link.span_id for link in other.raw.links]
    told, again = ({key: span.attributes[key] for key in span.attributes.keys() - CHANGES} for span in (one, other))
    assert told == again


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_kept_of_an_event_tells_the_same(name: str) -> None:
    """Each place of each sample in turn holds each kind of junk."""
    kept = essence(json.loads(SAMPLES[name]))
    assert (kept is not None) == (name in AWAITED)
    if kept is None:
        return
    assert "secret-of-the-payload" not in repr(kept)
    for path in paths(json.loads(SAMPLES[name])):
        for junk in JUNK:
            event = put(json.loads(SAMPLES[name]), path, junk)
            try:
                kept = essence(event)
            except Exception:  # noqa: BLE001 - such an event is read at once
                continue
            if kept is not None:
                assert known(told(kept)) == known(recognise(event))
                assert len(repr(kept)) < 40_000


NAMES = st.sampled_from([
    "traceparent", "Traceparent", "TRACEPARENT", "tracestate", "TraceState", "x-amzn-trace-id", "X-Amzn-Trace-Id",
    "x-cloud-trace-context", "accept", "Host", "x-forwarded-for", "",
])  # fmt: skip
VALUES = st.sampled_from([
    PARENT, PARENT.replace("4bf9", "5bf9"), "00-0-0-01", "", "shop=1", "shop=" + "x" * 3_000, "\ud800", None, 7,
    "x" * 300,     "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "105445aa7843bc8bf206b12000100000/1;o=1",
])  # fmt: skip
HEADERS = st.dictionaries(NAMES, VALUES | st.lists(VALUES, max_size=2), max_size=6)
REQUEST = st.fixed_dictionaries(
    {"requestContext": st.fixed_dictionaries({}, optional={
        "http": st.fixed_dictionaries({}, optional={"method": VALUES, "path": VALUES}),
        "elb": st.fixed_dictionaries({}, optional={"targetGroupArn": VALUES}),
        "apiId": VALUES, "domainName": VALUES, "connectionId": VALUES,
    })},
    optional={
        "headers": HEADERS | st.none(), "multiValueHeaders": HEADERS, "httpMethod": VALUES, "path": VALUES,
        "resource": VALUES, "rawPath": VALUES, "routeKey": VALUES, "traceparent": VALUES, "methodArn": VALUES,
        "Records": st.lists(VALUES), "body": VALUES,
    },
)  # fmt: skip
PLAIN = st.dictionaries(st.sampled_from(["traceparent", "tracestate", "order", "items", "source"]), VALUES)


@given(REQUEST | PLAIN)
def test_any_request_tells_the_same(event: dict[str, Any]) -> None:
    kept = essence(event)
    assert kept is None or known(told(kept)) == known(recognise(event))


def asked(agent: Any, event: Any) -> Any:
    """Begin an invocation whose answer is waited for; nobody has asked for its span."""
    agent.due = []
    invocation = begin(agent, event, context())
    assert type(invocation.span) is Unread
    return invocation


def test_all_who_ask_at_once_are_told_the_same(agent: Any) -> None:
    for _ in range(50):
        invocation = asked(agent, {"order": 7})
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda span: (id(span.attributes), span.trace_id), [invocation.span] * 8))
        assert len(set(told)) == 1
        assert type(invocation.span) is Span
        finish(agent, invocation)
        agent.due.clear()


def test_what_was_set_before_it_is_read_stays(agent: Any) -> None:
    invocation = asked(agent, json.loads(SAMPLES["api_gateway_v2"]))
    span = invocation.span
    span.name = "mine"
    span.fail("wrong", "at first")
    assert (span.name, span.status, span.message) == ("mine", 2, "at first")
    assert span.attributes["error.type"] == "wrong"
    assert span.attributes["http.route"]
    assert not hasattr(asked(agent, {}).span, "nothing")


def test_a_request_that_nobody_asks_about_is_read_after_its_answer(function: Any, sink: Any) -> None:
    """And one that logs, or calls on, is in the same trace before and after."""
    code = (
        "import faasight\nfrom faasight.context import current\n"
        "def handler(event, context):\n"
        "    kind = type(current.get()).__name__\n"
        "    span = faasight.current_span()\n"
        "    return [kind, span.trace_id if event.get('ask') else '', type(span).__name__]\n"
    )
    sandbox = function(code)
    event = json.loads(SAMPLES["api_gateway_v2"])
    assert sandbox.invoke(event).body == ["Unread", "", "Unread"]
    kind, trace_id, after = sandbox.invoke({**event, "ask": True}).body
    assert (kind, after) == ("Unread", "Span")
    one, other = sink.wait(2)
    assert one.trace_id == other.trace_id == trace_id
    assert {**one.attributes, **dict.fromkeys(CHANGES), "faas.invocation_id": ""} == {
        **other.attributes, **dict.fromkeys(CHANGES), "faas.invocation_id": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(AWAITED))
def test_a_killed_request_is_told_of_as_it_would_have_been(
    agent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    agent.witness.open(0)
    agent.witness.settle()
    invocation = asked(agent, json.loads(SAMPLES[name]))
    (file,) = tmp_path.iterdir()
    assert b"secret-of-the-payload" not in file.read_bytes()
    copy = tmp_path / "faasight-other-0"
    copy.write_bytes(file.read_bytes())
    copy.chmod(0o600)
    (told,) = killed("other")
    span = invocation.span
    assert (told.name, told.kind, told.trace_id, told.span_id, told.parent_id, told.start_ns) == (
        span.name, span.kind, span.trace_id, span.span_id, span.parent_id, span.start_ns,
    )  # fmt: skip
    added = {"faasight.outcome": "error", "faasight.killed": True, "error.type": "killed"}
    assert told.attributes == {**span.attributes, **added}
    finish(agent, invocation)


def test_a_note_that_is_broken_is_no_harm(agent: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    agent.witness.open(0)
    agent.witness.settle()
    invocation = asked(agent, json.loads(SAMPLES["api_gateway_v2"]))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    copy = tmp_path / "faasight-other-0"
    for i in range(0, len(whole), 3):
        for broken in (whole[:i], whole[:i] + b"'" + whole[i + 1 :]):
            copy.write_bytes(broken)
            copy.chmod(0o600)
            for span in killed("other"):
                assert len(bytes.fromhex(span.span_id)) == 8
                assert len(bytes.fromhex(span.trace_id)) == 16
                assert span.end_ns >= span.start_ns
    finish(agent, invocation)


def test_no_child_takes_the_ids_that_were_drawn_ahead(agent: Any) -> None:
    """They are drawn when an answer is out, and used once."""
    agent.due = None
    send_due(agent)
    begun = []
    for _ in range(3):
        invocation = begin(agent, {}, context())
        finish(agent, invocation)
        send_due(agent)
        begun.append(invocation.span)
    assert len({span.span_id for span in begun}) == len({span.trace_id for span in begun}) == 3
    (ahead,) = agent.ids
    assert ahead[:16] not in {span.span_id for span in begun}
    agent.after_fork()
    assert agent.ids == []
    agent.ids.append(ahead)
    snapshot._after(agent)
    assert agent.ids == [], "nor does a sandbox that is restored from a snapshot"
