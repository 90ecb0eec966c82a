"""Answers to HTTP clients: OTLP's empty successes, and google.rpc.Status in the encoding that was asked in."""

from dataclasses import dataclass
from http import HTTPStatus

import orjson
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from faasight_collector.admit import JSON, PROTOBUF
from faasight_collector.errors import Refusal

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; `headers` are further lines, each ending in CR LF."""

    status: int
    media: str
    body: bytes
    headers: bytes = b""

    def encode(self, date: bytes, *, close: bool, head_only: bool = False, extra: bytes = b"") -> bytes:
        """Return the bytes on the wire; `date` is a whole header line, `extra` any number of them."""
        head = b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n" % (
            self.status,
            HTTPStatus(self.status).phrase.encode(),
            self.media.encode(),
            len(self.body),
        )
        parts = (
            head,
            date,
            self.headers,
            extra,
            b"connection: close\r\n" if close else b"",
            b"\r\n",
            b"" if head_only else self.body,
        )
        return b"".join(parts)


# An Export*ServiceResponse without a partial_success is the empty message.
ACCEPTED = {PROTOBUF: Answer(200, PROTOBUF, b""), JSON: Answer(200, JSON, b"{}")}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def refused(refusal: Refusal, media: str, headers: bytes = b"") -> Answer:
    """Return a refusal as google.rpc.Status: protobuf to those who spoke it, else JSON."""
    if refusal.retry_after_s is not None:
        headers += b"retry-after: %d\r\n" % refusal.retry_after_s
    if refusal.http == HTTPStatus.UNAUTHORIZED:
        headers += b'www-authenticate: Bearer realm="faasight"\r\n'
    if media == PROTOBUF:
        return Answer(refusal.http, PROTOBUF, status(refusal).SerializeToString(), headers)
    document: dict[str, object] = {"code": refusal.code, "message": str(refusal)}
    if refusal.retry_after_s is not None:
        document["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{refusal.retry_after_s}s"}]
    return Answer(refusal.http, JSON, orjson.dumps(document), headers)


def status(refusal: Refusal) -> Status:
    """Return a refusal as google.rpc.Status, with a RetryInfo if the same request may succeed later."""
    found = Status(code=refusal.code, message=str(refusal))
    if refusal.retry_after_s is not None:
        found.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=refusal.retry_after_s)))
    return found
