"""JSON logs, as the wrapper and AWS Lambda's own JSON format write them, turned into lines of `records`."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from faasight_collector.errors import Refusal
from faasight_collector.inputs.lines import Line, attributes, encode, level_fields, text, time_ns

# Our name of a field -> the keys that carry it: the wrapper's first, then those of AWS Lambda's JSON log format.
_KEYS = {
    "function": ("function",),
    "version": ("version",),
    "request_id": ("request_id", "requestId", "AWSRequestId"),
    "trace_id": ("trace_id",),
    "span_id": ("span_id",),
    "error_type": ("error_type", "errorType"),
    "message": ("message",),
}
_RENAMED = {"errorMessage": "error_message", "stackTrace": "stack_trace"}
_TAKEN = frozenset({"timestamp", "level", *_RENAMED, *(key for keys in _KEYS.values() for key in keys)})


def to_records(body: bytes, headers: Mapping[bytes, bytes], now_ns: int) -> bytes:
    """Return the journal payload of newline-delimited JSON or of an array of objects. Raises Refusal (400)."""
    function = headers.get(b"x-faasight-function", b"").decode("latin-1")
    lines = []
    for document in _documents(body):
        line = log_line(document, now_ns)
        line["function"] = line["function"] or function
        lines.append(line)
    return encode(lines)


def log_line(document: Mapping[str, Any], now_ns: int) -> Line:
    """Return one log line; keys that have no place of their own become attributes."""
    line: Line = {
        "kind": "log",
        "ts": time_ns(document.get("timestamp"), now_ns),
        **level_fields(document.get("level")),
    }
    for name, keys in _KEYS.items():
        line[name] = next((text(document[key]) for key in keys if document.get(key) is not None), "")
    rest = attributes(document, _TAKEN)
    rest.update({new: text(document[old]) for old, new in _RENAMED.items() if document.get(old) is not None})
    line["attributes"] = rest
    line["message"] = line["message"] or rest.get("error_message", "")
    return line


def _documents(body: bytes) -> Iterator[Mapping[str, Any]]:
    if body.lstrip()[:1] == b"[":
        yield from _checked(_parse(body, "the array"))
        return
    for position, raw in enumerate(body.split(b"\n"), start=1):
        if raw.strip():
            yield from _checked([_parse(raw, f"line {position}")])


def _parse(raw: bytes, where: str) -> object:
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise Refusal("corrupt_json", f"{where} is not valid JSON: {error}") from error


def _checked(documents: object) -> Iterator[Mapping[str, Any]]:
    for position, document in enumerate(documents if isinstance(documents, list) else [documents], start=1):
        if not isinstance(document, dict):
            raise Refusal("corrupt_json", f"log record {position} is not a JSON object")
        yield document
