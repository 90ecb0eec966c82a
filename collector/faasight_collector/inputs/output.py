"""What a function writes to stdout and stderr, line by line: JSON, text, and metrics embedded in either."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from faasight_collector.errors import Refusal
from faasight_collector.inputs import emf, otlp_line
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.json_line import log_line
from faasight_collector.inputs.lines import Line, document, level_fields, text, time_ns
from faasight_collector.inputs.platform_events import REQUEST_ID

# [LEVEL]\ttime\trequest id\tmessage: the Python runtime's text format.
_PYTHON_TEXT = re.compile(rf"\[(\w+)\]\t(\S+Z)\t({REQUEST_ID})\t(.*)", re.DOTALL)
# time\trequest id\tLEVEL\tmessage: the Node.js runtime's; "undefined" stands for the request id outside of one.
_NODE_TEXT = re.compile(rf"(\S+Z)\t({REQUEST_ID}|undefined)\t(\w+)\t(.*)", re.DOTALL)
# [LEVEL] text: what the runtimes write of an exception that the handler let through.
_LEVEL_TEXT = re.compile(r"\[(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\]\s(?:([A-Za-z_][\w.]{0,200}): )?")

# A JSON line with one of these keys carries more than a log line, or is none at all (None).
Embedded = Callable[[Batch, Line, Mapping[str, Any], int], Line | None]
_EMBEDDED: dict[str, Embedded] = {emf.KEY: emf.take, otlp_line.KEY: otlp_line.take}


def add_output(batch: Batch, owner: Line, record: object, ts: int, more: Mapping[str, str] | None = None) -> None:
    """Add one log record: a text, or the object that Lambda makes of it with the JSON log format.

    `owner` says whose sandbox it is, `ts` is the time of the event (Unix ns), `more` are attributes for the line.
    """
    line = output_line(batch, owner, record, ts)
    if line is not None:
        add_line(batch, owner, line, more)


def add_line(batch: Batch, owner: Line, line: Line, more: Mapping[str, str] | None = None) -> None:
    """Add a line of `owner`; what the line itself says counts more."""
    if more:
        line["attributes"] = {**line.get("attributes", {}), **more}
    batch.add({**owner, **{key: value for key, value in line.items() if value not in (None, "")}})


def output_line(batch: Batch, owner: Line, record: object, ts: int) -> Line | None:
    """Return the log line of a record, whatever it is; telemetry in it goes to the batch. None if nothing is left."""
    if isinstance(record, dict):
        return _object(batch, owner, record, ts)
    message = text(record).rstrip("\n")
    if message.startswith("{"):
        try:
            return _object(batch, owner, document(message.encode(), "the line"), ts)
        except (Refusal, UnicodeEncodeError):
            pass  # a text that begins like JSON, or JSON beyond all bounds: kept as it is
    return _text(message, ts)


def _object(batch: Batch, owner: Line, found: Mapping[str, Any], ts: int) -> Line | None:
    for key, take in _EMBEDDED.items():
        if key in found:
            return take(batch, owner, found, ts)
    return log_line(found, ts)


def _text(message: str, ts: int) -> Line:
    level, request_id, error_type = "INFO", "", ""
    if found := _PYTHON_TEXT.match(message):
        level, when, request_id, message = found.groups()
        ts = time_ns(when, ts)
    elif found := _NODE_TEXT.match(message):
        when, request_id, level, message = found.groups()
        ts = time_ns(when, ts)
    elif found := _LEVEL_TEXT.match(message):
        level = found[1]
        error_type = found[2] or "" if level in {"ERROR", "FATAL", "CRITICAL"} else ""
    if request_id == "undefined":
        request_id = ""
    return {
        "kind": "log",
        "ts": ts,
        "request_id": request_id,
        "message": message,
        "error_type": error_type,
        **level_fields(level),
    }
