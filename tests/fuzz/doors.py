"""The collector's doors with good inputs for each, and what must hold of whatever is put into them."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from faasight_collector import Collector, Settings
from faasight_collector.admit import JSON, PROTOBUF, media_type
from faasight_collector.decompress import decompress
from faasight_collector.errors import Refusal
from faasight_collector.parts import Part
from faasight_collector.receive.routes import Door
from faasight_collector.segments import varint
from faasight_store import Store
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fuzz import mutate

SAMPLES = Path(__file__).parents[1] / "collector" / "samples"
LIMIT = 20 * 1024 * 1024
MESSAGES = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


@dataclass(frozen=True)
class Input:
    """One request for a door."""

    door: str
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of an input: parts, or the refusal."""

    parts: tuple[Part, ...] = ()
    refusal: Refusal | None = None


def doors(journal_dir: Path) -> dict[str, Door]:
    """Return the doors as a collector has them."""
    collector = Collector(Settings(journal_dir=journal_dir), cast(Store, None))
    return {path.decode(): door for path, door in collector._doors().items()}


def knock(door: Door, given: Input) -> Outcome:
    """Do with a request what the routes do. Anything but a Refusal is a finding, and is raised."""
    try:
        encoding = given.headers.get(b"content-encoding", b"").decode("latin-1")
        body = decompress(encoding, given.body, door.max_body or LIMIT)
        if media_type(given.headers.get(b"content-type", b"").decode("latin-1")) not in door.media:
            return Outcome()
        payload = door.open(body, given.headers)
        parts = (Part(door.signal, payload),) if isinstance(payload, bytes) else tuple(payload)
    except Refusal as refusal:
        assert refusal.http in {400, 413, 415}, f"{refusal.http} for bad data"
        assert len(str(refusal)) < 5_000, "a message as long as the body"
        return Outcome(refusal=refusal)
    return Outcome(parts)


# -- inputs -----------------------------------------------------------------------------------------------------------


def make(rng: random.Random, door: str) -> Input:
    """Return an input for a door, spoilt in some way."""
    media, body = _SOURCES[door](rng)
    if rng.random() < 0.002:
        body = mutate.bomb(rng, body)
    encoding, body = mutate.packed(rng, body)
    headers = {b"content-type": media.encode(), **_odd_headers(rng)}
    if encoding:
        headers[b"content-encoding"] = encoding.encode()
    return Input(door, headers, body)


def _odd_headers(rng: random.Random) -> dict[bytes, bytes]:
    names = (
        b"x-faasight-function", b"x-faasight-memory-mb", b"x-faasight-forwarder", b"x-amz-firehose-request-id",
        b"x-amz-firehose-common-attributes", b"x-amz-firehose-source-arn",
    )  # fmt: skip
    values = (b"checkout", b"", b"\xff\xfe", b"9" * 300, b"{", b'{"commonAttributes": 5}', b"arn:aws:x", b"r-1")
    return {name: rng.choice(values) for name in names if rng.random() < 0.1}


def _otlp(signal: str) -> Callable[[random.Random], tuple[str, bytes]]:
    def source(rng: random.Random) -> tuple[str, bytes]:
        text = (SAMPLES / f"otlp_{signal}.json").read_bytes()
        if rng.random() < 0.5:
            return JSON, mutate.json_value(rng, text) if rng.random() < 0.9 else mutate.bytes_at_random(rng, text)
        message = json_format.ParseDict(json.loads(text), MESSAGES[signal]()).SerializeToString()
        return PROTOBUF, mutate.protobuf_fields(rng, message)

    return source


def _json_logs(rng: random.Random) -> tuple[str, bytes]:
    text = rng.choice((_sample("json_logs.jsonl"), _compact("emf.json"), b'[{"message": "a"}, {"level": "WARN"}]'))
    return JSON, mutate.json_value(rng, text)


def _telemetry(rng: random.Random) -> tuple[str, bytes]:
    return JSON, mutate.json_value(rng, _sample("telemetry_platform.json"))


def _message(rng: random.Random) -> bytes:
    names = ("cloudwatch_logs_text.json", "cloudwatch_logs_json.json", "cloudwatch_logs_control.json")
    return mutate.json_value(rng, _sample(rng.choice(names)))


def _logs(rng: random.Random) -> tuple[str, bytes]:
    body = _message(rng)
    if rng.random() < 0.3:
        body = json.dumps({"awslogs": {"data": mutate.base64_inside(rng, body)}}).encode()
    return JSON, mutate.bytes_at_random(rng, body) if rng.random() < 0.1 else body


def _firehose(rng: random.Random) -> tuple[str, bytes]:
    records = [{"data": mutate.base64_inside(rng, _content(rng))} for _ in range(rng.choice((0, 1, 1, 2, 5)))]
    body = json.dumps({"requestId": str(rng.random()), "timestamp": 1795248000000, "records": records}).encode()
    return JSON, mutate.json_value(rng, body) if rng.random() < 0.1 else body


def _content(rng: random.Random) -> bytes:
    if rng.random() < 0.01:
        return mutate.bomb(rng, b"")
    match rng.randrange(5):
        case 0:
            document = json.loads(_sample("metric_stream_otlp.json"))
            message = json_format.ParseDict(document, ExportMetricsServiceRequest()).SerializeToString()
            message = mutate.protobuf_fields(rng, message)
            return varint(len(message)) + message
        case 1:
            return mutate.json_value(rng, _sample("metric_stream.jsonl"))
        case 2:
            return mutate.json_value(rng, _compact("emf.json"))
        case 3:
            return _message(rng) + _message(rng)
        case _:
            return mutate.bytes_at_random(rng, _message(rng))


def _sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def _compact(name: str) -> bytes:
    return json.dumps(json.loads(_sample(name))).encode()


_SOURCES: dict[str, Callable[[random.Random], tuple[str, bytes]]] = {
    "/v1/traces": _otlp("traces"),
    "/v1/logs": _otlp("logs"),
    "/v1/metrics": _otlp("metrics"),
    "/v1/json-logs": _json_logs,
    "/v1/aws/telemetry": _telemetry,
    "/v1/aws/logs": _logs,
    "/v1/aws/firehose": _firehose,
}
DOORS = tuple(_SOURCES)
