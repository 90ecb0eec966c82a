"""Firehose's HTTP endpoint: what its records become, how it is answered, and that a repetition is stored once."""

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faasight_collector import Collector
from faasight_collector.errors import Refusal
from faasight_collector.inputs import firehose
from faasight_collector.inputs.firehose import to_parts
from faasight_collector.parts import Part
from faasight_collector.segments import varint
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.collector.firehose_request import Delivery

NOW = 1_700_000_000_000_000_000
SAMPLES = Path(__file__).parent / "samples"
TEXT_MESSAGE = (SAMPLES / "cloudwatch_logs_text.json").read_bytes()
JSON_MESSAGE = json.dumps(json.loads((SAMPLES / "cloudwatch_logs_json.json").read_bytes())).encode()
CONTROL = (SAMPLES / "cloudwatch_logs_control.json").read_bytes()
METRICS = (SAMPLES / "metric_stream.jsonl").read_bytes()
Journaled = Callable[[Collector, str], list[bytes]]
StartCollector = Callable[..., Collector]


def parts(*records: bytes, **common: str) -> list[Part]:
    delivery = Delivery(records)
    headers = {name.lower().encode(): value.encode() for name, value in delivery.headers(**common).items()}
    return list(to_parts(delivery.body, headers, NOW))


def lines(*records: bytes, **common: str) -> list[dict[str, Any]]:
    found = parts(*records, **common)
    assert not [part.reason for part in found if part.reason]
    return [json.loads(line) for part in found if part.signal == "records" for line in part.payload.splitlines()]


def metric_names(found: list[Part]) -> list[str]:
    return sorted(
        metric.name.removeprefix("amazonaws.com/AWS/Lambda/")
        for part in found
        if part.signal == "metrics"
        for group in ExportMetricsServiceRequest.FromString(part.payload).resource_metrics
        for metric in group.scope_metrics[0].metrics
    )


def otlp() -> bytes:
    document = json.loads((SAMPLES / "metric_stream_otlp.json").read_text())
    message = json_format.ParseDict(document, ExportMetricsServiceRequest()).SerializeToString()
    return varint(len(message)) + message


# -- what records may hold --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "events"),
    [
        (TEXT_MESSAGE, 15),
        (gzip.compress(JSON_MESSAGE, mtime=0), 4),
        (gzip.compress(JSON_MESSAGE, mtime=0) + gzip.compress(JSON_MESSAGE, mtime=0), 8),
        (JSON_MESSAGE + JSON_MESSAGE, 8),
        (JSON_MESSAGE + b"\n" + JSON_MESSAGE + b"\n", 8),
        (CONTROL, 0),
        (gzip.compress(CONTROL + JSON_MESSAGE, mtime=0), 4),
        (b"", 0),
    ],
    ids=["indented", "gzip", "two gzips", "glued", "lines", "control", "control and data", "empty"],
)
def test_subscriptions(record: bytes, events: int) -> None:
    found = lines(record)
    assert len(found) == events
    assert {line["region"] for line in found} <= {"eu-west-1"}, "the stream's ARN tells it"


@pytest.mark.parametrize(
    "record", [METRICS, METRICS.replace(b"\n", b""), b"[" + METRICS.replace(b"}\n", b"},")[:-1] + b"]"]
)
def test_metric_streams_in_json(record: bytes) -> None:
    assert metric_names(parts(record)) == [
        "ConcurrentExecutions", "Duration", "Duration.p99", "Duration.p99.9", "Invocations", "Throttles",
    ]  # fmt: skip


def test_metric_streams_in_opentelemetry() -> None:
    assert metric_names(parts(otlp() * 2, otlp())) == ["Errors"] * 2 + ["Throttles"] * 2 + ["Throttles.p99"] * 2


def test_other_otlp_metrics_pass_as_they_are() -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="own").gauge.data_points.add(as_int=1)
    message = request.SerializeToString()
    (part,) = parts(varint(len(message)) + message)
    assert (part.signal, part.payload) == ("metrics", message)


def test_extracted_messages_are_lines_of_the_function_in_the_common_attributes() -> None:
    report = "REPORT RequestId: 6d68ca91-49c9-448d-89b8-7ca3e6dc66aa\tDuration: 5 ms\tBilled Duration: 6 ms\n"
    found = lines(("[INFO] hello\n" + report).encode(), function="checkout", environment="live")
    assert [(line["kind"], line["function"], line["environment"]) for line in found] == [
        ("log", "checkout", "live"),
        ("report", "checkout", "live"),
    ]


def test_plain_json_logs() -> None:
    (line,) = lines(b'{"message": "hi", "function": "own", "level": "WARN"}')
    assert (line["message"], line["function"], line["level"]) == ("hi", "own", "WARN")


def test_logs_of_other_senders_are_taken_line_by_line() -> None:
    record = b'{"message": "a"}{"message": "b"}\n[{"message": "c"}]\n{ no json\n[INFO] d\n\n{"message": "e"}'
    assert [line["message"] for line in lines(record)] == ["a", "b", "c", "{ no json", "[INFO] d", "e"]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"\xff\xfe\x00", "neither JSON nor text"),
        (b'{"messageType": ', "valid JSON"),
        (gzip.compress(JSON_MESSAGE, mtime=0)[:-9], "not valid gzip"),
        (gzip.compress(b" " * 30_000_000, mtime=0), "larger than"),
        (b'{"messageType": "DATA_MESSAGE", "logGroup": 5, "logStream": ""}', "must be texts"),
        (b'{"metric_stream_name": "s", "metric_name": 5}', "a metric needs"),
        (JSON_MESSAGE + b"{}}", "valid JSON"),
        (bytes(1_000_000), "more than 10000 OTLP messages"),
    ],
)
def test_a_record_that_cannot_be_read_goes_to_the_dead_letters_and_the_others_on(record: bytes, why: str) -> None:
    found = parts(JSON_MESSAGE, record, JSON_MESSAGE)
    (bad,) = [part for part in found if part.reason]
    assert why in bad.reason
    assert bad.payload == record
    assert len([part for part in found if not part.reason]) >= 2


def test_a_request_that_unpacks_to_gigabytes_is_refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firehose, "_Room", partial(firehose._Room, 10_000_000))
    bomb = gzip.compress(b" " * 4_000_000, mtime=0)
    assert parts(bomb, bomb) == []
    with pytest.raises(Refusal) as refused:
        parts(bomb, bomb, bomb)
    assert refused.value.http == 413


def test_data_that_is_no_base64_is_a_dead_letter_too() -> None:
    (bad,) = to_parts(b'{"requestId": "r", "records": [{"data": "!!"}]}', {}, NOW)
    assert "base64" in bad.reason
    (bad,) = to_parts(b'{"requestId": "r", "records": [{"data": 5}]}', {}, NOW)
    assert "base64" in bad.reason


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"requestId": "r"}', b'{"records": 5}', b'{"records": [5]}', b'{"records": [{}]}']
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        list(to_parts(body, {}, NOW))
    assert refused.value.http == 400


def test_each_part_has_a_name_of_its_own_that_a_repetition_has_too() -> None:
    delivery = Delivery((TEXT_MESSAGE, JSON_MESSAGE, METRICS, b"\xff", otlp()))
    once, again = (list(to_parts(delivery.body, {}, now)) for now in (NOW, NOW + 5))
    assert [part.key for part in once] == [part.key for part in again]
    assert len({part.key for part in once}) == len(once)
    assert None not in {part.key for part in once}


def test_without_a_request_id_the_body_names_it() -> None:
    body = Delivery((JSON_MESSAGE, JSON_MESSAGE), request_id="").body
    once, again = (list(to_parts(body, {}, now)) for now in (NOW, NOW + 5))
    assert len({part.key for part in once}) == 2
    assert [part.key for part in once] == [part.key for part in again]


# -- the door ---------------------------------------------------------------------------------------------------------


def test_accepted_is_answered_as_firehose_asks(collector: Collector, journaled: Journaled) -> None:
    delivery = Delivery((gzip.compress(JSON_MESSAGE, mtime=0), METRICS))
    answer = delivery.post(collector.http_address)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in answer.headers
    assert set(answer.json()) == {"requestId", "timestamp"}
    assert answer.json()["requestId"] == delivery.request_id
    assert answer.json()["timestamp"] > 1_700_000_000_000
    assert len(journaled(collector, "records")) == 1
    assert len(journaled(collector, "metrics")) == 1


def test_a_gzipped_body(collector: Collector, journaled: Journaled) -> None:
    delivery = Delivery((JSON_MESSAGE,))
    answer = delivery.post(collector.http_address, body=gzip.compress(delivery.body), **{"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    assert len(journaled(collector, "records")) == 1


@pytest.mark.parametrize("body", [b"{", b'{"records": 5}'])
def test_a_refusal_has_an_error_message(collector: Collector, body: bytes) -> None:
    answer = Delivery((), request_id="r-1").post(collector.http_address, body=body)
    assert answer.status_code == 400
    assert answer.json()["requestId"] == "r-1"
    assert "Firehose" in answer.json()["errorMessage"]


def test_the_old_opentelemetry_format_is_refused_in_firehoses_own_log(collector: Collector) -> None:
    point = b"\x0a\x04\x0a\x02\x0a\x00"
    metric = b"\x0a\x01m\x5a" + varint(len(point)) + point
    scope = b"\x12" + varint(len(metric)) + metric
    group = b"\x12" + varint(len(scope)) + scope
    message = b"\x0a" + varint(len(group)) + group
    answer = Delivery((varint(len(message)) + message,)).post(collector.http_address)
    assert answer.status_code == 400
    assert "opentelemetry1.0 or json" in answer.json()["errorMessage"]


def test_64_mib_are_taken_and_more_is_permanently_too_large(collector: Collector, journaled: Journaled) -> None:
    line = json.dumps({"message": "x" * 700_000}).encode()
    delivery = Delivery((line,) * 65)
    assert 60 * 2**20 > len(delivery.body) > 50 * 2**20
    assert delivery.post(collector.http_address).status_code == 200
    assert sum(payload.count(b"\n") for payload in journaled(collector, "records")) == 65
    answer = Delivery((line,) * 75).post(collector.http_address)
    assert answer.status_code == 413
    assert "errorMessage" in answer.json()


def test_a_repetition_is_stored_once(collector: Collector, journaled: Journaled) -> None:
    delivery = Delivery((TEXT_MESSAGE, METRICS, b'{"message": "no time of its own"}'))
    for _ in range(3):
        assert delivery.post(collector.http_address).status_code == 200
    assert len(journaled(collector, "records")) == 2
    assert len(journaled(collector, "metrics")) == 1
    other = Delivery(delivery.records)
    assert other.post(collector.http_address).status_code == 200
    assert len(journaled(collector, "records")) == 4, "another request with the same records is another"


def test_a_repetition_after_a_restart_is_stored_once(
    start_collector: StartCollector, journaled: Journaled, tmp_path: Path
) -> None:
    delivery = Delivery((b'{"message": "no time of its own"}', METRICS))
    first = start_collector()
    assert delivery.post(first.http_address).status_code == 200
    first.stop()
    second = start_collector()
    assert delivery.post(second.http_address).status_code == 200
    assert len(journaled(second, "records")) == 1
    assert len(journaled(second, "metrics")) == 1


def test_a_bad_record_is_kept_once_with_its_reason(collector: Collector, journaled: Journaled) -> None:
    delivery = Delivery((b"\xff\xfe\x00", JSON_MESSAGE))
    for _ in range(2):
        assert delivery.post(collector.http_address).status_code == 200
    letters = collector.settings.journal_dir / "dead-letters"
    (data,) = letters.glob("*.bin")
    assert data.read_bytes() == b"\xff\xfe\x00"
    assert "neither JSON nor text" in json.loads(data.with_suffix(".json").read_text())["reason"]
    assert len(journaled(collector, "records")) == 1


def test_a_full_journal_is_answered_so_that_firehose_repeats(start_collector: StartCollector) -> None:
    collector = start_collector(journal_budget_bytes=1_000)
    answer = Delivery((JSON_MESSAGE,)).post(collector.http_address)
    assert answer.status_code == 503
    assert "errorMessage" in answer.json()
    answer = Delivery((b"\xff\xfe",)).post(collector.http_address)
    assert answer.status_code == 503, "a dead letter needs room too"
