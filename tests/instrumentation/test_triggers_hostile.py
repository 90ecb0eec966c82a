"""Events as nobody should write them: recognising one never raises, takes little time and keeps no payload."""

import json
import tracemalloc
from typing import Any

import pytest
from faasight.context import extract
from faasight.triggers import recognise
from faasight.triggers.recognise import OBJECTS, RECORDS, SHAPES, _load
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from lambda_events import JUNK, SAMPLES, paths, put

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def bounded(event: Any) -> None:
    """Recognise, and hold what is kept to the promise: names and ids, short ones."""
    found = recognise(event)
    assert isinstance(found.name, str)
    assert len(repr(found.attributes)) < 16_000
    assert len(found.ids) <= 100
    for number in (found.sent_ns, found.last_ns):
        assert 0 <= number < 1 << 63
    assert 0 <= found.attempt < 1 << 63


def test_every_reader_of_the_lists_exists() -> None:
    for name in {*RECORDS.values(), *OBJECTS.values(), *(reader for _, reader in SHAPES)}:
        assert callable(_load(name))


@pytest.mark.parametrize("name", SAMPLES)
def test_any_value_may_be_anything(name: str) -> None:
    """Each place of each sample in turn holds each kind of junk."""
    for path in paths(json.loads(SAMPLES[name])):
        if "headerKey" in path or (path and isinstance(path[-1], int) and path[-1] > 2):
            continue  # one byte of a header is like the other
        for junk in JUNK:
            bounded(put(json.loads(SAMPLES[name]), path, junk))


@pytest.mark.parametrize("name", SAMPLES)
def test_any_key_may_be_missing(name: str) -> None:
    for path in paths(json.loads(SAMPLES[name])):
        if path and isinstance(path[-1], str):
            event = json.loads(SAMPLES[name])
            at = event
            for key in path[:-1]:
                at = at[key]
            del at[path[-1]]
            bounded(event)


KEYS = st.sampled_from([
    *(key for key, _ in SHAPES), "Records", "eventSource", "http", "elb", "Sns", "s3", "dynamodb", "kinesis",
    "attributes", "messageAttributes", "headers", "body", "Message", "detail", "time", "resources", "cf", "type", "Id",
])  # fmt: skip
VALUES = st.sampled_from([*RECORDS, "Scheduled Event", "aws.events", "REQUEST", PARENT, "2026-01-02T03:04:05Z"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=14,
)


@limits(max_examples=300, deadline=None, derandomize=True)
@given(ANY)
def test_drawn_events_are_read_or_left(event: Any) -> None:
    bounded(event)


HUGE = "secret " * 900_000  # 6 MB, the largest event of a synchronous call


def allocated(event: Any) -> int:
    """Bytes at the height of reading an event, over what was there before."""
    tracemalloc.start()
    try:
        recognise(event)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", SAMPLES)
def test_no_text_of_6_mb_is_copied(name: str) -> None:
    recognise(json.loads(SAMPLES[name]))  # its reader is loaded
    for path in paths(json.loads(SAMPLES[name])):
        if path and not (isinstance(path[-1], int) and path[-1] > 2):
            event = put(json.loads(SAMPLES[name]), path, HUGE)
            assert allocated(event) < 200_000
            bounded(event)


class Counted(dict[str, Any]):
    """A large dictionary that notices whoever goes through it."""

    steps = 0

    def __iter__(self) -> Any:
        type(self).steps += len(self)
        return super().__iter__()

    def items(self) -> Any:
        """Notice it."""
        type(self).steps += len(self)
        return super().items()

    values = keys = items


@pytest.mark.parametrize(
    "event",
    [
        lambda many: many,
        lambda many: {"requestContext": {"http": {}}, "headers": many},
        lambda many: {"requestContext": many},
        lambda many: {"detail-type": "x", "source": "shop", "detail": many},
        lambda many: {"Records": [{"eventSource": "aws:sqs", "messageAttributes": many, "attributes": many}]},
        lambda many: {"Records": [{"eventSource": "aws:sns", "Sns": {"MessageAttributes": many}}]},
        lambda many: {"Execution": {"Id": "arn:aws:states:x", "Input": many}},
        lambda many: {"eventSource": "aws:kafka", "records": {"a-0": [{"headers": [many]}]}},
        lambda many: {"eventSource": "aws:amq", "messages": [{"properties": many}]},
    ],
)
def test_nothing_of_many_parts_is_walked(event: Any) -> None:
    Counted.steps = 0
    recognise(event(Counted({f"key{number}": number for number in range(10_000)})))
    assert Counted.steps == 0


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"eventSource": "aws:sqs", "body": '{"Type": "Notification", "Message": ' + "[" * 400_000}]},
        {"Records": [{"eventSource": "aws:kinesis", "data": "e30" * 2_000_000}]},
        {"traceparent": "-" * 6_000_000, "tracestate": "," * 6_000_000},
        {"Records": [{"eventSource": "aws:sqs", "attributes": {"AWSTraceHeader": ";" * 6_000_000}}]},
        {"Execution": {"Id": "arn:aws:states:" + ":" * 6_000_000}},
    ],
    ids=["nested body", "kinesis data", "traceparent", "x-ray header", "execution"],
)
def test_no_text_is_taken_apart_without_limit(event: Any) -> None:
    recognise(event)
    assert allocated(event) < 2_000_000


def test_a_batch_is_read_to_the_largest_that_there_is() -> None:
    """Each of 10,000 records has its link; what is beyond was made by nobody's event source."""
    record = {"eventSource": "aws:sqs", "messageId": "m", "messageAttributes": {"traceparent": {"stringValue": PARENT}}}
    found = recognise({"Records": [record] * 10_500})
    assert len(found.parents) == found.records == 10_000


def test_a_name_in_other_letters_is_found_among_few_headers() -> None:
    assert extract({"TRACEPARENT": PARENT, 7: "x"}) is not None  # type: ignore[dict-item]  # that is the point
