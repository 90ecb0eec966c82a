"""OTLP/JSON of spans and log records as nearly everybody writes it, turned into protobuf without messages in between.

msgspec parses it into structs, which costs less than parsing it into dictionaries, and what stands in them is written
as protobuf's bytes at once: a fourth of what the general way costs (`otlp_json.py`). Whatever is unusual (a field of
another name or type, a number out of its range, nesting, broken text) is left to that way, and to its words.
The bytes are those that protobuf's own serializer makes: fields in the order of their numbers, zeros left out.
"""

import struct
from collections.abc import Callable
from typing import Annotated, Any, Optional

import msgspec
from msgspec import Meta, Struct

from faasight_collector.segments import varint

LARGEST = 1024 * 1024  # bytes of JSON that become structs at once: at most some 15 MiB of them

_Number = Annotated[int, Meta(ge=0, lt=1 << 32)] | None
_Enum = Annotated[int, Meta(ge=0, lt=1 << 31)] | None
_Integer = int | str | None  # 64 bits are written as a string by most, for JavaScript's sake
_Text = str | None


class _Strict(Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """An object with fields of these names alone, in camelCase; gc=False, for none can hold itself."""


class _AnyValue(_Strict):
    string_value: _Text = None
    bool_value: bool | None = None
    int_value: _Integer = None
    double_value: float | None = None
    array_value: Optional["_ArrayValue"] = None
    kvlist_value: Optional["_KeyValueList"] = None


class _KeyValue(_Strict):
    key: _Text = None
    value: _AnyValue | None = None


_Attributes = list[_KeyValue] | None


class _ArrayValue(_Strict):
    values: list[_AnyValue] | None = None


class _KeyValueList(_Strict):
    values: _Attributes = None


class _Resource(_Strict):
    attributes: _Attributes = None
    dropped_attributes_count: _Number = None


class _Scope(_Strict):
    name: _Text = None
    version: _Text = None
    attributes: _Attributes = None
    dropped_attributes_count: _Number = None


class _Event(_Strict):
    time_unix_nano: _Integer = None
    name: _Text = None
    attributes: _Attributes = None
    dropped_attributes_count: _Number = None


class _Link(_Strict):
    trace_id: _Text = None
    span_id: _Text = None
    trace_state: _Text = None
    attributes: _Attributes = None
    dropped_attributes_count: _Number = None
    flags: _Number = None


class _Status(_Strict):
    message: _Text = None
    code: _Enum = None


class _Span(_Strict):
    trace_id: _Text = None
    span_id: _Text = None
    trace_state: _Text = None
    parent_span_id: _Text = None
    flags: _Number = None
    name: _Text = None
    kind: _Enum = None
    start_time_unix_nano: _Integer = None
    end_time_unix_nano: _Integer = None
    attributes: _Attributes = None
    dropped_attributes_count: _Number = None
    events: list[_Event] | None = None
    dropped_events_count: _Number = None
    links: list[_Link] | None = None
    dropped_links_count: _Number = None
    status: _Status | None = None


class _LogRecord(_Strict):
    time_unix_nano: _Integer = None
    observed_time_unix_nano: _Integer = None
    severity_number: _Enum = None
    severity_text: _Text = None
    body: _AnyValue | None = None
    attributes: _Attributes = None
    dropped_attributes_count: _Number = None
    flags: _Number = None
    trace_id: _Text = None
    span_id: _Text = None
    event_name: _Text = None


class _ScopeSpans(_Strict):
    scope: _Scope | None = None
    spans: list[_Span] | None = None
    schema_url: _Text = None


class _ScopeLogs(_Strict):
    scope: _Scope | None = None
    log_records: list[_LogRecord] | None = None
    schema_url: _Text = None


class _ResourceSpans(_Strict):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None
    schema_url: _Text = None


class _ResourceLogs(_Strict):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None
    schema_url: _Text = None


class _Traces(_Strict):
    resource_spans: list[_ResourceSpans] | None = None


class _Logs(_Strict):
    resource_logs: list[_ResourceLogs] | None = None


_MOST_KEYS, _LONGEST_KEY = 4096, 128  # that are remembered, and characters of one
_MASK = (1 << 64) - 1
_DEPTH = 16  # of values within values; what is deeper goes the general way
_LENGTHS = [varint(number) for number in range(4096)]
# What stands between a key and the text of its value: an AnyValue with string_value, and their two lengths.
_TEXTS = [b"\x12" + varint(len(varint(n)) + n + 1) + b"\x0a" + varint(n) for n in range(512)]
_keys: dict[str, bytes] = {}  # attributes have the same few keys again and again
_fixed64, _fixed32, _double = struct.Struct("<Q").pack, struct.Struct("<I").pack, struct.Struct("<d").pack


def encode(kind: str, text: bytes | memoryview) -> bytes | None:
    """Return the protobuf bytes of the message that a JSON text describes; `kind` is its full name.

    None if it has anything unusual, is no valid message of that kind, or if messages of that kind are not known here.
    """
    known = _KINDS.get(kind)
    if known is None:
        return None
    decoder, write = known
    try:
        return write(decoder.decode(text))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, struct.error):
        return None


def _length(size: int) -> bytes:
    return _LENGTHS[size] if size < len(_LENGTHS) else varint(size)


def _block(tag: bytes, content: bytes) -> bytes:
    return tag + _length(len(content)) + content


def _text(tag: bytes, text: _Text) -> bytes:
    content = text.encode() if text else b""
    return tag + _length(len(content)) + content if content else b""


def _id(tag: bytes, text: _Text) -> bytes:
    found = bytes.fromhex(text) if text else b""
    return tag + _length(len(found)) + found if found else b""


def _number(tag: bytes, number: int | None) -> bytes:
    return tag + _length(number) if number else b""


def _time(tag: bytes, time: _Integer) -> bytes:
    nanoseconds = 0 if time is None else int(time)
    return tag + _fixed64(nanoseconds) if nanoseconds else b""


def _flags(tag: bytes, flags: int | None) -> bytes:
    return tag + _fixed32(flags) if flags else b""


def _attributes(tag: bytes, items: _Attributes) -> bytes:
    if not items:
        return b""
    out = []
    for item in items:
        name = item.key
        key = (_keys.get(name) or _key(name)) if name else b""
        value = item.value
        text = None if value is None else value.string_value
        if text is not None and len(content := text.encode()) < len(_TEXTS):
            pair = key + _TEXTS[len(content)] + content
        else:
            pair = key if value is None else key + _block(b"\x12", _any(value, 0))
        out.append(tag + _length(len(pair)) + pair)
    return b"".join(out)


def _key(name: str) -> bytes:
    key = _text(b"\x0a", name)
    if len(name) <= _LONGEST_KEY:
        if len(_keys) >= _MOST_KEYS:
            _keys.clear()
        _keys[name] = key
    return key


def _any(value: _AnyValue, depth: int) -> bytes:
    if depth > _DEPTH:
        raise ValueError("nested too deep")
    if value.string_value is not None:
        return _block(b"\x0a", value.string_value.encode())
    if value.bool_value is not None:
        return b"\x10\x01" if value.bool_value else b"\x10\x00"
    if value.int_value is not None:
        number = int(value.int_value)
        if not -1 << 63 <= number < 1 << 63:
            raise ValueError("out of 64 bits")
        return b"\x18" + varint(number & _MASK)
    if value.double_value is not None:
        return b"\x21" + _double(value.double_value)
    if value.array_value is not None:
        values = [_block(b"\x0a", _any(one, depth + 1)) for one in value.array_value.values or ()]
        return _block(b"\x2a", b"".join(values))
    if value.kvlist_value is not None:
        pairs = [_block(b"\x0a", _pair(one, depth + 1)) for one in value.kvlist_value.values or ()]
        return _block(b"\x32", b"".join(pairs))
    return b""


def _pair(item: _KeyValue, depth: int) -> bytes:
    key = _text(b"\x0a", item.key)
    return key if item.value is None else key + _block(b"\x12", _any(item.value, depth))


def _resource(resource: _Resource) -> bytes:
    return _attributes(b"\x0a", resource.attributes) + _number(b"\x10", resource.dropped_attributes_count)


def _scope(scope: _Scope) -> bytes:
    names = _text(b"\x0a", scope.name) + _text(b"\x12", scope.version)
    return names + _attributes(b"\x1a", scope.attributes) + _number(b"\x20", scope.dropped_attributes_count)


def _event(event: _Event) -> bytes:
    begin = _time(b"\x09", event.time_unix_nano) + _text(b"\x12", event.name)
    return begin + _attributes(b"\x1a", event.attributes) + _number(b"\x20", event.dropped_attributes_count)


def _link(link: _Link) -> bytes:
    ids = _id(b"\x0a", link.trace_id) + _id(b"\x12", link.span_id) + _text(b"\x1a", link.trace_state)
    attributes = _attributes(b"\x22", link.attributes) + _number(b"\x28", link.dropped_attributes_count)
    return ids + attributes + _flags(b"\x35", link.flags)


def _status(status: _Status) -> bytes:
    return _text(b"\x12", status.message) + _number(b"\x18", status.code)


def _span(span: _Span) -> bytes:
    out = [
        _id(b"\x0a", span.trace_id),
        _id(b"\x12", span.span_id),
        _text(b"\x1a", span.trace_state) if span.trace_state else b"",
        _id(b"\x22", span.parent_span_id) if span.parent_span_id else b"",
        _text(b"\x2a", span.name),
        _number(b"\x30", span.kind),
        _time(b"\x39", span.start_time_unix_nano),
        _time(b"\x41", span.end_time_unix_nano),
        _attributes(b"\x4a", span.attributes),
    ]
    if span.dropped_attributes_count:
        out.append(_number(b"\x50", span.dropped_attributes_count))
    if span.events:
        out += [_block(b"\x5a", _event(event)) for event in span.events]
    if span.dropped_events_count:
        out.append(_number(b"\x60", span.dropped_events_count))
    if span.links:
        out += [_block(b"\x6a", _link(link)) for link in span.links]
    if span.dropped_links_count:
        out.append(_number(b"\x70", span.dropped_links_count))
    if span.status is not None:
        out.append(_block(b"\x7a", _status(span.status)))
    if span.flags:
        out.append(_flags(b"\x85\x01", span.flags))
    return b"".join(out)


def _log_record(record: _LogRecord) -> bytes:
    out = (
        _time(b"\x09", record.time_unix_nano),
        _number(b"\x10", record.severity_number),
        _text(b"\x1a", record.severity_text),
        b"" if record.body is None else _block(b"\x2a", _any(record.body, 0)),
        _attributes(b"\x32", record.attributes),
        _number(b"\x38", record.dropped_attributes_count),
        _flags(b"\x45", record.flags),
        _id(b"\x4a", record.trace_id),
        _id(b"\x52", record.span_id),
        _time(b"\x59", record.observed_time_unix_nano),
        _text(b"\x62", record.event_name),
    )
    return b"".join(out)


def _group(first: Any, content: bytes, url: _Text, write: Callable[[Any], bytes]) -> bytes:  # noqa: ANN401  # either
    """Return a ScopeSpans, ResourceSpans or their like of logs: whose, what, and the schema's address."""
    return (b"" if first is None else _block(b"\x0a", write(first))) + content + _text(b"\x1a", url)


def _many(tag: bytes, items: list[Any] | None, write: Callable[[Any], bytes]) -> bytes:
    return b"".join([_block(tag, write(item)) for item in items or ()])


def _scope_spans(group: _ScopeSpans) -> bytes:
    return _group(group.scope, _many(b"\x12", group.spans, _span), group.schema_url, _scope)


def _scope_logs(group: _ScopeLogs) -> bytes:
    return _group(group.scope, _many(b"\x12", group.log_records, _log_record), group.schema_url, _scope)


def _resource_spans(group: _ResourceSpans) -> bytes:
    return _group(group.resource, _many(b"\x12", group.scope_spans, _scope_spans), group.schema_url, _resource)


def _resource_logs(group: _ResourceLogs) -> bytes:
    return _group(group.resource, _many(b"\x12", group.scope_logs, _scope_logs), group.schema_url, _resource)


def _traces(request: _Traces) -> bytes:
    return _many(b"\x0a", request.resource_spans, _resource_spans)


def _logs(request: _Logs) -> bytes:
    return _many(b"\x0a", request.resource_logs, _resource_logs)


def _kind(struct_type: type[Struct], write: Callable[[Any], bytes]) -> tuple[Any, Callable[[Any], bytes]]:
    return msgspec.json.Decoder(struct_type), write


_OTLP = "opentelemetry.proto"
_KINDS = {
    f"{_OTLP}.collector.trace.v1.ExportTraceServiceRequest": _kind(_Traces, _traces),
    f"{_OTLP}.trace.v1.ResourceSpans": _kind(_ResourceSpans, _resource_spans),
    f"{_OTLP}.trace.v1.ScopeSpans": _kind(_ScopeSpans, _scope_spans),
    f"{_OTLP}.trace.v1.Span": _kind(_Span, _span),
    f"{_OTLP}.collector.logs.v1.ExportLogsServiceRequest": _kind(_Logs, _logs),
    f"{_OTLP}.logs.v1.ResourceLogs": _kind(_ResourceLogs, _resource_logs),
    f"{_OTLP}.logs.v1.ScopeLogs": _kind(_ScopeLogs, _scope_logs),
    f"{_OTLP}.logs.v1.LogRecord": _kind(_LogRecord, _log_record),
}
