"""Context out through AWS's payloads: to the byte, within limits, never where it could break a call."""

import json
from typing import Any

import pytest
from faasight.context import extract, outgoing
from faasight.hooks import aws_answers, carry
from faasight.spans import CLIENT, PRODUCER, Span
from faasight.triggers import recognise
from hypothesis import given
from hypothesis import strategies as st

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
STATE = 'faasight=f:checkout,x="\\'
BOTH = {"traceparent": PARENT, "tracestate": STATE}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def sent(service: str, operation: str, parameters: dict[str, Any], payloads: tuple[str, ...] | None = None) -> Any:
    chosen = carry.IN_PAYLOADS if payloads is None else payloads
    return carry.context(service, operation, parameters, PARENT, STATE, chosen)


def event(detail: str) -> str:
    entry = sent("EventBridge", "PutEvents", {"Entries": [{"Source": "shop", "Detail": detail}]})["Entries"][0]
    assert entry["Source"] == "shop"
    text: str = entry["Detail"]
    return text


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return ValueError


@given(st.dictionaries(st.text(), JSON), st.sampled_from(["", " ", "\r\n\t "]), st.booleans())
def test_an_object_gets_two_members_and_keeps_all_else_to_the_byte(given: Any, space: str, ascii_only: bool) -> None:
    inner = json.dumps(given, ensure_ascii=ascii_only, indent=2 if space else None)
    text = f"{space}{inner}{space}"
    out = event(text)
    if '"traceparent"' in text:
        assert out == text
    else:
        assert json.dumps(json.loads(out)) == json.dumps({**given, **BOTH})
        end = len(text.rstrip()) - 1
        assert out.startswith(text[:end])
        assert out.endswith(text[end:])


@pytest.mark.parametrize("bus", ["media-bus", "arn:aws:events:us-east-1:123456789012:event-bus/media-bus"])
def test_an_event_names_its_bus(bus: str) -> None:
    """No event of EventBridge says by which bus it came, so what we send along does, for one hop."""
    entry = {"Source": "media", "DetailType": "Ready", "Detail": "{}", "EventBusName": bus}
    detail = json.loads(sent("EventBridge", "PutEvents", {"Entries": [entry]})["Entries"][0]["Detail"])
    event = {"source": "media", "detail-type": "Ready", "id": "e-1", "detail": detail}
    trigger = recognise(event)
    assert trigger is not None
    assert trigger.attributes["faasight.source.name"] == "media-bus"
    remote = extract(detail)
    assert remote is not None
    assert remote.caller == "checkout"
    span = Span("next", PRODUCER, remote.trace_id)
    span.trace_state = remote.state
    assert "media-bus" not in outgoing(span, "notify")[1]


@given(st.text(alphabet='{}[]":,\\ \n1a', max_size=24) | st.text(max_size=12))
def test_what_is_no_object_stays_refused_and_what_is_one_stays_one(text: str) -> None:
    before, after = parsed(text), parsed(event(text))
    if isinstance(before, dict):
        assert after == {**before, **BOTH}
    elif before is not ValueError:
        assert after == before or (after != after and before != before), "a list, a number: not an object"
    else:
        assert after is ValueError, "EventBridge refuses it as it did: we do not mend it either"


@pytest.mark.parametrize("text", ['{"traceparent":"mine"}', '{"inner":{"traceparent":"x"}}', "[1]", "{", "}", "", "x"])
def test_these_stay_as_they_are(text: str) -> None:
    assert event(text) == text


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"stateMachineArn": "a", "input": '{"id":1}'}, {"id": 1, **BOTH}),
        ({"stateMachineArn": "a"}, BOTH),
        # The same name with the same input is the same execution; with another, ExecutionAlreadyExists.
        ({"stateMachineArn": "a", "input": '{"id":1}', "name": "order-1"}, {"id": 1}),
        ({"stateMachineArn": "a", "input": "[1]"}, [1]),
        ({"stateMachineArn": "a", "input": "{" + " " * 262_000 + "}"}, {}),
    ],
    ids=["object", "none", "named", "list", "close to the limit"],
)
def test_the_input_of_an_execution(parameters: dict[str, Any], expected: Any) -> None:
    kept = dict(parameters)
    for operation in ("StartExecution", "StartSyncExecution"):
        assert json.loads(sent("SFN", operation, parameters)["input"]) == expected
    assert parameters == kept, "the user's parameters are not written to"


KINESIS = ("kinesis",)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01", b"{\x80}", b"{binary}", b'{"a":1}\n{"a":2}\n', b"[]", "{'a': 1}", b"", 5, None,
        '{"a":1}'.encode("utf-16"), b"[" * 100_000, b'{"a":' * 50_000,
    ],
    ids=range(12),
)  # fmt: skip
def test_data_of_a_stream_that_is_no_object_is_never_touched(data: object) -> None:
    record = {"StreamName": "s", "Data": data, "PartitionKey": "k"}
    assert sent("Kinesis", "PutRecord", record, KINESIS) == record


@pytest.mark.parametrize("data", [b'{"a":1}\n', bytearray(b'{"a":1}\n'), '{"a":1}\n'])
def test_data_of_a_stream_carries_only_when_the_user_says_so(data: Any) -> None:
    record = {"Data": data, "PartitionKey": "k"}
    call = {"StreamName": "s", "Records": [record, {"Data": b"x", "PartitionKey": "k"}]}
    assert sent("Kinesis", "PutRecords", call) is call
    first, second = sent("Kinesis", "PutRecords", call, KINESIS)["Records"]
    text = first["Data"] if isinstance(data, str) else first["Data"].decode()
    assert text.startswith('{"a":1,')
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": 1, **BOTH}
    assert second["Data"] == b"x"
    assert record["Data"] == data


def test_payloads_can_be_left_alone() -> None:
    for call in (("EventBridge", "PutEvents", {"Entries": [{"Detail": "{}"}]}), ("SFN", "StartExecution", {})):
        assert sent(*call, payloads=("off",)) == call[2]


@given(JSON)
def test_parameters_of_any_shape_go_through(anything: Any) -> None:
    for service, operation in carry._LISTS:
        for key in ("Entries", "Records", "PublishBatchRequestEntries", "MessageAttributes", "Detail", "input", "Data"):
            for parameters in ({key: anything}, {"Entries": [{key: anything}], "Records": [{key: anything}]}):
                kept = repr(parameters)
                sent(service, operation, parameters, ("eventbridge", "stepfunctions", "kinesis"))
                assert repr(parameters) == kept


@given(st.dictionaries(st.sampled_from(["Records", "Entries", "Failed", "ETag", "executionArn", "MessageId"]), JSON))
def test_answers_of_any_shape_are_read(answer: dict[str, Any]) -> None:
    for kind in (CLIENT, PRODUCER):
        aws_answers.note(Span("x", kind, "a" * 32, attributes={"aws.s3.bucket": "b"}), answer)


def test_a_batch_of_which_some_were_throttled() -> None:
    """Kinesis answers 200 to it: nobody else sees that throttle."""
    span = Span("send clicks", PRODUCER, "a" * 32)
    records: list[dict[str, str]] = [{"SequenceNumber": str(number), "ShardId": "s"} for number in range(150)]
    records[7] = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
    aws_answers.note(span, {"FailedRecordCount": 1, "Records": records})
    assert span.attributes["faasight.batch.failures"] == 1
    assert span.attributes["faasight.throttled"] is True
    assert span.attributes["error.type"] == "ProvisionedThroughputExceededException"
    assert span.attributes["messaging.batch.message_count"] == 150
    assert len(span.attributes["faasight.sent.ids"]) == aws_answers.MAX_IDS


def test_a_wrong_name_is_told_and_harms_nothing(function: Any, sink: Any) -> None:
    code = "import botocore.client\ndef handler(event, context):\n    return 1\n"
    sandbox = function(code, FAASIGHT_CARRY="kinesis,s3")
    assert sandbox.invoke().body == 1
    assert "FAASIGHT_CARRY: 's3' is not one of eventbridge, stepfunctions, kinesis, off" in sandbox.output()
