"""Decides whether a body is what it says, and gives it the form that the journal keeps.

One truncated message would make the engine refuse a whole segment later, so every message is parsed (by protobuf's C
parser, which costs 0.6 CPU-seconds per million spans) before anyone is told that it is safe.
"""

from functools import lru_cache

from google.protobuf.message import DecodeError, EncodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from faasight_collector import mend, otlp_json, otlp_pieces
from faasight_collector.check import check
from faasight_collector.errors import Refusal

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

REQUESTS: dict[str, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=128)
def media_of(header: bytes) -> str:
    """Return the media type that a content-type header names."""
    return media_type(header.decode("latin-1"))


def otlp(signal: str, media: str, body: bytes) -> bytes:
    """Return the protobuf message of an OTLP request body; b"" if it holds nothing. Raises Refusal."""
    if media == PROTOBUF:
        return protobuf(signal, body)
    if media == JSON:
        return json(signal, body)
    raise Refusal("content_type", f"content-type {media[:60]!r} is not supported: {PROTOBUF} or {JSON}", http=415)


def protobuf(signal: str, body: bytes) -> bytes:
    """Return `body` itself if it is a valid message; mended, if only its strings are not. Raises Refusal."""
    request = REQUESTS[signal]
    try:
        check(request, body)
    except DecodeError as error:
        mended = mend.protobuf_text(request, body)
        if mended is None:
            raise Refusal("corrupt_protobuf", f"the body is not a valid {request.DESCRIPTOR.name}: {error}") from error
        return mended
    return body


def json(signal: str, body: bytes) -> bytes:
    """Return an OTLP/JSON body as a protobuf message. Raises Refusal."""
    request = REQUESTS[signal]
    try:
        return otlp_json.encode(request, body) if len(body) <= otlp_pieces.PIECE else otlp_pieces.encode(request, body)
    except (ValueError, TypeError, EncodeError, RecursionError) as error:
        mended = mend.json_text(body)
        if mended != body:
            return json(signal, mended)
        raise Refusal("corrupt_json", f"the body is not a valid {request.DESCRIPTOR.name} in JSON: {error}") from error
