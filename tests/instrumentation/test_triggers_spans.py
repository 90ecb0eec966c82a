"""What a trigger leaves on the invocation's span, as a collector gets it."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import faasight
import pytest

EVENTS = Path(__file__).parent / "events"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def invoke(event: Any) -> None:
    faasight.observe(lambda *_: None)(event, None)


def test_a_stream_s_batch_tells_its_wait_and_its_iterator_age(agent: Any, sink: Any) -> None:
    invoke(sample("kinesis"))
    (span,) = sink.wait()
    attributes = span.attributes
    assert attributes["faasight.queue_wait_ms"] - attributes["faasight.iterator_age_ms"] == 1_000  # of two records
    assert len(attributes["faasight.source.ids"]) == 2


def test_a_batch_links_to_every_sender_and_continues_their_trace(agent: Any, sink: Any) -> None:
    event = sample("sqs")
    event["Records"].append(event["Records"][0])  # sent by the same span as the first one
    invoke(event)
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id) == (TRACE, SPAN)
    assert [link.span_id.hex() for link in span.raw.links] == [SPAN, "00f067aa0ba902b8"]
    assert span.attributes["faasight.attempt"] == 2


def aged(event: Any, seconds: float) -> Any:
    """Let a batch have been sent so long ago; its second record a second later."""
    for i, record in enumerate(event["Records"]):
        record["attributes"]["SentTimestamp"] = str(int((time.time() - seconds + i) * 1000))
    return event


def test_the_wait_of_the_oldest_message_is_a_bar_before_the_work(agent: Any, sink: Any) -> None:
    invoke(aged(sample("sqs"), 30))
    (span,) = sink.wait()
    wait = sink.named("queue wait order-queue")
    assert (wait.trace_id, wait.parent_id, wait.raw.kind) == (span.trace_id, span.span_id, 1)
    assert wait.raw.end_time_unix_nano == span.raw.start_time_unix_nano
    waited_ms = (wait.raw.end_time_unix_nano - wait.raw.start_time_unix_nano) / 1e6
    assert waited_ms == pytest.approx(span.attributes["faasight.queue_wait_ms"], abs=0.001)
    assert wait.attributes == {
        "faasight.phase": "wait",
        "faasight.source.kind": "queue",
        "faasight.source.name": "order-queue",
        "faasight.attempt": 2,
        "messaging.system": "aws_sqs",
        "messaging.destination.name": "order-queue",
        "messaging.batch.message_count": 2,
    }


@pytest.mark.parametrize("seconds", [-60, 2 * 86_400])
def test_a_wait_before_its_sending_or_of_days_is_no_bar(agent: Any, sink: Any, seconds: float) -> None:
    """Clocks differ, and what comes out of a dead-letter queue may be two weeks old."""
    invoke(aged(sample("sqs"), seconds))
    (span,) = sink.wait()
    assert span.attributes["faasight.queue_wait_ms"] == pytest.approx(max(seconds, 0) * 1000, abs=10_000)
    assert [other.name for other in sink.spans() if " wait " in other.name] == []


def test_a_trace_without_a_parent_is_a_root_of_that_trace(agent: Any, sink: Any) -> None:
    invoke(sample("sqs_dead_letters"))
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id) == ("5759e988bd862e3fe1be46a994272793", "")


def test_50_events_at_once_never_mix(agent: Any, sink: Any) -> None:
    """First events of their kinds, too: the readers are being imported meanwhile."""
    gate = threading.Barrier(50)

    def one(number: int) -> None:
        event = sample("sqs")
        event["Records"] = event["Records"][:1]
        event["Records"][0]["messageId"] = f"m{number}"
        event["Records"][0]["messageAttributes"]["traceparent"]["stringValue"] = f"00-{number + 1:032x}-{SPAN}-01"
        gate.wait()
        invoke(event)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = sink.wait(50)
    found = {(span.trace_id, span.attributes["messaging.message.id"]) for span in spans}
    assert found == {(f"{number + 1:032x}", f"m{number}") for number in range(50)}


def spoil(value: Any) -> None:
    """Do to an event what a handler may: it is the handler's."""
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value.clear()
        value.update({"traceparent": f"00-{'9' * 32}-{'8' * 16}-01", "requestContext": None, "Records": 5})
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value[:] = [None]


def told(span: Any) -> tuple[Any, ...]:
    """Return what the event has told of a span."""
    own = {"faas.invocation_id", "faas.coldstart", "faasight.overhead_ms", "faasight.memory_used"}
    timed = {"faasight.queue_wait_ms", "faasight.iterator_age_ms"}
    mine = [span.attributes["faas.invocation_id"]]  # by which the caller of a plain event knows it
    kept = {key: value for key, value in span.attributes.items() if key not in own | timed and value != mine}
    links = [(link.trace_id, link.span_id) for link in span.raw.links]
    trace_id = span.trace_id if span.parent_id else ""
    return span.name, span.raw.kind, trace_id, span.parent_id, links, kept


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_what_a_handler_does_to_its_event_changes_nothing_that_is_told(agent: Any, sink: Any, name: str) -> None:
    faasight.observe(lambda event, _: spoil(event))(sample(name), None)
    invoke(sample(name))
    first, second = sink.wait(2)
    assert told(first) == told(second)
