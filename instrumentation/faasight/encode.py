"""OTLP protobuf written by hand: the generated code of opentelemetry-proto would cost each cold start 24 ms.

Field numbers are those of opentelemetry-proto 1.x (trace.proto, metrics.proto, common.proto); a test compares every
field with the official encoder. A message is tag, length, content: `_message(tag, content)`.
"""

from __future__ import annotations

from _struct import pack  # `struct` is this and a re-export

from faasight import mask
from faasight.complain import complaints
from faasight.spans import CONSUMER, SERVER, safe_str

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from faasight.metrics import Point
    from faasight.spans import Span

_BYTE = [bytes((n,)) for n in range(128)]
_TEXT_VALUE = [b"\x12%c\x0a%c" % (n + 2, n) for n in range(122)]  # what stands before a short text in a KeyValue
_YES, _NO = b"\x12\x02\x10\x01", b"\x12\x02\x10\x00"
_MAX_TEXT = 16_384  # characters of one attribute: a stack trace fits, a payload does not
_INT64 = 1 << 63
_MAX_KEYS = 512
_keys: dict[str, bytes] = {}
_numbers: dict[int, bytes] = {}
_scopes: dict[tuple[str, str], bytes] = {}
# SpanFlags: the W3C flag "sampled", whether the parent's place is known, and whether that is another process.
_SAMPLED, _KNOWN, _REMOTE = 0x001, 0x100, 0x200
_LOCAL_FLAGS = b"\x85\x01" + (_SAMPLED | _KNOWN).to_bytes(4, "little")
_REMOTE_FLAGS = b"\x85\x01" + (_SAMPLED | _KNOWN | _REMOTE).to_bytes(4, "little")
_LINK_FLAGS = b"\x35" + (_SAMPLED | _KNOWN | _REMOTE).to_bytes(4, "little")


def _varint(number: int) -> bytes:
    if number < 128:
        return _BYTE[number]
    if number < 16_384:
        return bytes((number & 127 | 128, number >> 7))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _message(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _text(tag: bytes, text: str) -> bytes:
    try:
        content = text.encode()
    except UnicodeEncodeError:  # lone surrogates are legal in a str and not in protobuf
        content = text.encode("utf-8", "replace")
    except AttributeError:  # a name or a key that is no str, whatever the type checker would have said
        content = safe_str(text).encode("utf-8", "replace")
    return tag + _varint(len(content)) + content


def _any_value(value: object) -> bytes:
    if isinstance(value, str):
        return _text(b"\x0a", value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT])
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        if -_INT64 <= value < _INT64:
            return b"\x18" + _varint(value & 0xFFFFFFFFFFFFFFFF)
        return _text(b"\x0a", str(value))
    if isinstance(value, float):
        return b"\x21" + pack("<d", value)
    if isinstance(value, (list, tuple)):
        return _message(b"\x2a", b"".join(_message(b"\x0a", _any_value(item)) for item in value))
    return _text(b"\x0a", mask.text(safe_str(value))[:_MAX_TEXT])


def attributes(tag: bytes, pairs: Mapping[str, Any]) -> bytes:
    """Encode repeated KeyValue under `tag`; None is left out."""
    parts: list[bytes] = []
    for key, value in pairs.items():
        if value is None:
            continue
        try:
            name = _keys[key]
        except (KeyError, TypeError):
            name = _key(key)
        # Nearly all are short texts and flags, whose lengths are one byte each: at a third of the cost.
        if type(value) is str:
            try:
                content = value.encode()
                parts += (tag, _BYTE[len(name) + len(content) + 4], name, _TEXT_VALUE[len(content)], content)
            except (UnicodeEncodeError, IndexError):
                content = _message(b"\x12", _any_value(value))
                parts += (tag, _varint(len(name) + len(content)), name, content)
            continue
        if type(value) is int:
            content = _numbers.get(value) or _number(value)
        elif value is True or value is False:
            content = _YES if value else _NO
        else:
            content = _message(b"\x12", _any_value(value))
        parts += (tag, _varint(len(name) + len(content)), name, content)
    return b"".join(parts)


def _number(value: int) -> bytes:
    """Encode a KeyValue's whole number, and remember it: statuses, limits and sizes come again and again."""
    content = _message(b"\x12", _any_value(value))
    if len(_numbers) >= _MAX_KEYS:
        _numbers.clear()
    _numbers[value] = content
    return content


def _key(key: str) -> bytes:
    """Encode a KeyValue's key, and remember it: they come again and again."""
    encoded = _text(b"\x0a", key)
    if type(key) is str and len(_keys) < _MAX_KEYS:
        _keys[key] = encoded
    return encoded


def resource(pairs: Mapping[str, Any]) -> bytes:
    """Encode a Resource's content."""
    return attributes(b"\x0a", pairs)


def span(item: Span) -> bytes:
    """Encode a Span's content."""
    parts = [b"\x0a\x10", bytes.fromhex(item.trace_id), b"\x12\x08", bytes.fromhex(item.span_id)]
    if item.trace_state:
        parts.append(_text(b"\x1a", item.trace_state))
    if item.parent_id:
        parts += (b"\x22\x08", bytes.fromhex(item.parent_id))
    parts += (
        _text(b"\x2a", item.name),
        b"\x30", _BYTE[item.kind],
        pack("<sQsQ", b"\x39", item.start_ns, b"\x41", item.end_ns),
        attributes(b"\x4a", item.attributes),
    )  # fmt: skip
    if item.events:
        parts += [_event(*event) for event in item.events]
    if item.links:
        parts += [_link(*link) for link in item.links]
    if item.status or item.message:
        parts.append(_message(b"\x7a", _status(item.status, item.message)))
    remote = item.parent_id and item.kind in {SERVER, CONSUMER}  # such a span's parent is its caller, by definition
    parts.append(_REMOTE_FLAGS if remote else _LOCAL_FLAGS)
    return b"".join(parts)


def _event(ts: int, name: str, pairs: Mapping[str, Any]) -> bytes:
    return _message(b"\x5a", b"\x09" + ts.to_bytes(8, "little") + _text(b"\x12", name) + attributes(b"\x1a", pairs))


def _link(trace_id: str, span_id: str, state: str) -> bytes:
    content = b"\x0a\x10" + bytes.fromhex(trace_id) + b"\x12\x08" + bytes.fromhex(span_id)
    if state:
        content += _text(b"\x1a", state)
    return _message(b"\x6a", content + _LINK_FLAGS)


def _status(code: int, message: str) -> bytes:
    content = _text(b"\x12", message[:_MAX_TEXT]) if message else b""
    return content + b"\x18" + _BYTE[code] if code else content


def _scope(name: str, version: str) -> bytes:
    try:
        return _scopes[name, version]
    except KeyError:
        content = _message(b"\x0a", _text(b"\x0a", name) + (_text(b"\x12", version) if version else b""))
        if len(_scopes) < _MAX_KEYS:
            _scopes[name, version] = content
        return content


def traces(resource_content: bytes, spans: Iterable[Span], version: str) -> bytes:
    """Encode an ExportTraceServiceRequest; `version` is that of the scope `faasight`."""
    scopes: dict[str, list[bytes]] = {}
    for item in spans:
        try:
            content = span(item)
        except Exception as error:  # noqa: BLE001 - a value nobody thought of costs its span, not those of all others
            complaints.failure("encoding a span", error)
            continue
        try:
            parts = scopes[item.scope]
        except KeyError:
            parts = scopes[item.scope] = []
        parts += (b"\x12", _varint(len(content)), content)
    return _request(resource_content, scopes, version)


def log_record(
    time_ns: int, severity: int, level: str, body: object, pairs: Mapping[str, Any], trace_id: str, span_id: str
) -> bytes:
    """Encode a LogRecord's content (logs.proto); the ids are hex, "" outside an invocation."""
    parts = [
        pack("<sQsQ", b"\x09", time_ns, b"\x59", time_ns),
        b"\x10" + _BYTE[severity],
        _text(b"\x1a", level),
        _message(b"\x2a", _any_value(body)),
        attributes(b"\x32", pairs),
    ]
    if trace_id:
        ids = b"\x4a\x10" + bytes.fromhex(trace_id) + b"\x52\x08" + bytes.fromhex(span_id)
        parts.append(ids + b"\x45\x01\x00\x00\x00")  # sampled
    return b"".join(parts)


def logs(resource_content: bytes, records: Iterable[bytes], version: str) -> bytes:
    """Encode an ExportLogsServiceRequest of encoded records; `version` is that of the scope `faasight`."""
    parts = [part for record in records for part in (b"\x12", _varint(len(record)), record)]
    return _request(resource_content, {"faasight": parts}, version)


def metrics(resource_content: bytes, points: Iterable[Point], version: str) -> bytes:
    """Encode an ExportMetricsServiceRequest of delta sums and gauges."""
    return _request(resource_content, {"faasight": [_message(b"\x12", _metric(point)) for point in points]}, version)


def _request(resource_content: bytes, scopes: Mapping[str, list[bytes]], version: str) -> bytes:
    parts = [b"\x0a", _varint(len(resource_content)), resource_content]
    for name, items in scopes.items():
        content = b"".join((_scope(name, version if name == "faasight" else ""), *items))
        parts += (b"\x12", _varint(len(content)), content)
    content = b"".join(parts)
    return b"\x0a" + _varint(len(content)) + content


def _metric(point: Point) -> bytes:
    data = b"\x19" + point.end_ns.to_bytes(8, "little")
    if point.kind != "gauge":
        data = b"\x11" + point.start_ns.to_bytes(8, "little") + data
    if isinstance(point.value, int) and -_INT64 <= point.value < _INT64:
        data += b"\x31" + pack("<q", point.value)
    else:
        data += b"\x21" + pack("<d", float(point.value))
    data = _message(b"\x0a", data + attributes(b"\x3a", point.dimensions))
    head = _text(b"\x0a", point.name) + (_text(b"\x1a", point.unit) if point.unit else b"")
    if point.kind == "gauge":
        return head + _message(b"\x2a", data)
    monotonic = b"\x18\x01" if point.monotonic else b""
    return head + _message(b"\x3a", data + b"\x10\x01" + monotonic)  # AGGREGATION_TEMPORALITY_DELTA
