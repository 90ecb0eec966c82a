"""Amazon Data Firehose's HTTP endpoint: log subscriptions and metric streams, delivered in batches of records.

Protocol: docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html. A request sent again has the same
request id, which names its parts: what is safe already is not stored twice, after a restart neither. A record that
cannot be read goes to the dead letters with its reason, because Firehose would repeat the whole request for it.
"""

import binascii
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import orjson

from faasight_collector.errors import Refusal
from faasight_collector.inputs import metric_streams
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.cloudwatch_logs import LIMIT, is_subscription, subscription, take_message, unpacked
from faasight_collector.inputs.json_stream import values
from faasight_collector.inputs.lines import MAX_DOCUMENT, Line
from faasight_collector.inputs.output import add_output
from faasight_collector.parts import Part
from faasight_collector.receive.answers import Answer
from faasight_collector.receive.routes import Request

MAX_BODY = 64 * 1024 * 1024  # bytes: the largest buffer that a stream can be given
MAX_UNPACKED = 1024 * 1024 * 1024  # bytes of all records of a request
_TOO_MUCH = "unpacks_too_large"
REQUEST_ID = b"x-amz-firehose-request-id"
_VERSION = b"x-amz-firehose-protocol-version"
_COMMON = b"x-amz-firehose-common-attributes"
_SOURCE = b"x-amz-firehose-source-arn"
_MAX_RECORDS = 200_000
_COMMON_FIELDS = ("environment", "function", "region", "account")
_JSON = "application/json"
_MARKS = (b'"messageType"', b'"metric_stream_name"')


class _Record(msgspec.Struct, gc=False):
    data: msgspec.Raw  # a view of the body: nothing is copied until its turn comes


class _Envelope(msgspec.Struct):
    records: list[_Record]
    requestId: str = ""  # noqa: N815  # Firehose's name


def to_parts(body: bytes, headers: Mapping[bytes, bytes], now_ns: int) -> Iterator[Part]:
    """Yield the parts of a request, record by record. Raises Refusal (400) if the request as a whole is malformed."""
    if headers.get(_VERSION, b"1.0") != b"1.0":
        raise Refusal("protocol_version", "X-Amz-Firehose-Protocol-Version must be 1.0")
    if body.count(b"{") > _MAX_RECORDS:  # base64 has none
        raise Refusal("too_complex", f"more than {_MAX_RECORDS} records in one request", http=413)
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("corrupt_json", f"this is no request of Firehose: {error}") from error
    named = headers.get(REQUEST_ID, b"").decode("latin-1")
    if named and envelope.requestId and named != envelope.requestId:
        raise Refusal("request_id", "X-Amz-Firehose-Request-Id and requestId of the body differ")
    request_id = (named or envelope.requestId).encode() or sha256(body).hexdigest().encode()
    sender = _sender(headers)
    room = _Room()
    for number, record in enumerate(envelope.records):
        key = b"firehose %s/%d" % (request_id, number)
        yield from _record(record.data, key, sender, now_ns, room)


@dataclass(slots=True)
class _Room:
    """How much of a request may still be unpacked: beyond it, it would hold up all others for minutes."""

    left: int = MAX_UNPACKED

    def unpack(self, raw: bytes) -> bytes:
        """Return a record's content. Raises Refusal, also (413) when there is no room for it."""
        try:
            content = unpacked(raw)
        except Refusal:
            self._spend(LIMIT)  # a bomb costs as much until it is known for one
            raise
        self._spend(len(content))
        return content

    def _spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Refusal(_TOO_MUCH, f"the request unpacks to more than {MAX_UNPACKED} bytes", http=413)


def _sender(headers: Mapping[bytes, bytes]) -> Line:
    """Return what the stream's configuration tells of all its records: common attributes, and its ARN."""
    sender: Line = {}
    arn = headers.get(_SOURCE, b"").decode("latin-1").split(":")
    if len(arn) > 4 and arn[0] == "arn":  # arn:aws:firehose:us-east-1:123456789012:deliverystream/name
        sender = {"region": arn[3], "account": arn[4]}
    try:
        common = orjson.loads(headers.get(_COMMON, b"{}"))["commonAttributes"]
        sender.update({key: common[key] for key in _COMMON_FIELDS if isinstance(common.get(key), str)})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # Firehose's own header; without it nothing is lost but the environment
    return sender


def _record(data: msgspec.Raw, key: bytes, sender: Line, now_ns: int, room: _Room) -> Iterator[Part]:
    """Yield the parts of one record; one that cannot be read is a part with its reason."""
    batch = Batch(key)
    raw = bytes(data)
    try:
        raw = _decoded(raw)
        yield from _content(batch, room.unpack(raw), sender, now_ns)
    except Refusal as refusal:
        if refusal.reason in {metric_streams.OLD_FORMAT, _TOO_MUCH}:
            raise  # not the record's fault: whoever set it up should see it in Firehose's own log
        yield Part("records", raw, key, f"a Firehose record: {refusal}")
    yield from batch.rest()


def _decoded(raw: bytes) -> bytes:
    try:
        return binascii.a2b_base64(orjson.loads(raw), strict_mode=True)
    except (ValueError, TypeError) as error:  # binascii.Error is a ValueError
        raise Refusal("corrupt_base64", f"its data is not valid base64: {error}") from error


def _content(batch: Batch, content: bytes, sender: Line, now_ns: int) -> Iterator[Part]:
    """Find out what a record holds: JSON of AWS, one value after the other, OTLP messages, or lines of a log."""
    if content[:64].lstrip()[:1] in {b"{", b"["} and any(mark in content for mark in _MARKS):
        for found in values(content, LIMIT):
            yield from _json(batch, found, sender, now_ns)
            yield from batch.full()
    elif not _is_text(content):
        yield from _otlp(batch, content, sender)
    else:
        for line in content.decode().split("\n"):  # messages alone, which a stream may be told to extract
            yield from _line(batch, line, sender, now_ns)
            yield from batch.full()


def _line(batch: Batch, line: str, sender: Line, now_ns: int) -> Iterator[Part]:
    if line.startswith(("{", "[{")):
        try:
            found = list(values(line.encode(), MAX_DOCUMENT))
        except Refusal:
            pass  # a text that begins like JSON
        else:
            for item in found:
                yield from _json(batch, item, sender, now_ns)
            return
    if line.strip():
        take_message(batch, sender, line, now_ns, {})


def _json(batch: Batch, found: object, sender: Line, now_ns: int) -> Iterator[Part]:
    if isinstance(found, list):
        for item in found:
            yield from _json(batch, item, sender, now_ns) if isinstance(item, dict) else ()
    elif not isinstance(found, dict):
        add_output(batch, sender, found, now_ns)
    elif is_subscription(found):
        yield from subscription(batch, found, sender, "", now_ns)
    elif metric_streams.is_metric(found):
        metric_streams.add_json(batch, found, sender, now_ns)
    else:
        add_output(batch, sender, found, now_ns)


def _otlp(batch: Batch, content: bytes, sender: Line) -> Iterator[Part]:
    """Add the messages of a metric stream. Raises Refusal if it is none."""
    try:
        for position, request in enumerate(metric_streams.messages(content)):
            if not metric_streams.add_otlp(batch, request, sender):
                yield Part("metrics", request.SerializeToString(), b"%s otlp %d" % (batch.key or b"", position))
            yield from batch.full()
    except Refusal as refusal:
        if refusal.reason != "corrupt_protobuf":
            raise
        raise Refusal("unknown_content", f"it is neither JSON nor text, and as OTLP: {refusal}") from refusal


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return not re.search(rb"[\x00-\x08\x0e-\x1a]", content)


@dataclass(frozen=True, slots=True)
class FirehoseReplies:
    """Answers as Firehose asks for them: its request id, a time in ms, and on failure an `errorMessage`.

    It repeats a request after any code but 200 and 413 (permanent), so nothing else has to be told apart.
    """

    clock: Callable[[], float] = time.time

    def accepted(self, request: Request) -> Answer:
        """Return 200."""
        return Answer(200, _JSON, self._body(request))

    def refused(self, request: Request, refusal: Refusal, headers: bytes = b"") -> Answer:
        """Return the refusal's code and message."""
        if refusal.retry_after_s is not None:
            headers += b"retry-after: %d\r\n" % refusal.retry_after_s
        return Answer(refusal.http, _JSON, self._body(request, errorMessage=str(refusal)[:2000]), headers)

    def _body(self, request: Request, **more: str) -> bytes:
        request_id = request.headers.get(REQUEST_ID, b"").decode("latin-1")
        return orjson.dumps({"requestId": request_id, "timestamp": int(self.clock() * 1000), **more})
