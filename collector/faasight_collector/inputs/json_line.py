"""One log line of JSON, as the wrapper and AWS Lambda's own JSON format write it."""

from collections.abc import Mapping
from typing import Any

from faasight_collector.inputs.lines import Line, attributes, level_fields, text, time_ns

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


def log_line(found: Mapping[str, Any], now_ns: int) -> Line:
    """Return one log line; keys that have no place of their own become attributes."""
    line: Line = {
        "kind": "log",
        "ts": time_ns(found.get("timestamp"), now_ns),
        **level_fields(found.get("level")),
    }
    for name, keys in _KEYS.items():
        line[name] = next((text(found[key]) for key in keys if found.get(key) is not None), "")
    rest = attributes(found, _TAKEN)
    rest.update({new: text(found[old]) for old, new in _RENAMED.items() if found.get(old) is not None})
    line["attributes"] = rest
    line["message"] = line["message"] or rest.get("error_message", "")
    return line
