"""Log lines to the collector, by choice (FAASIGHT_SEND_LOGS=1): where no log path leads to it, as on Google and Azure.

What `logging` and structlog write is taken where it is handed to their outputs, whatever those are, and goes out with
the spans, as OpenTelemetry's log records. Stdout has each line all the same: what cannot be sent is not lost with it.
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque

import faasight
from faasight import encode, logs
from faasight.complain import complaints
from faasight.context import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import LogRecord
    from typing import Any

    from faasight.agent import Agent

# SeverityNumber of OpenTelemetry's logs data model.
_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_RENAMED = {
    "request_id": "faas.invocation_id",
    "error_type": "exception.type",
    "error_message": "exception.message",
    "stack_trace": "exception.stacktrace",
}
_PLACED = frozenset({"timestamp", "level", "message", "function", "version", "trace_id", "span_id", "severity"})
_GOOGLE = "logging.googleapis.com/"  # for Cloud Logging alone
_FULL = 262_144  # bytes: what is more goes out before the invocation's end


class Records:
    """The lines of one process since its last flush, encoded, by function."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child: the parent sends its own lines."""
        self._lock = allocate_lock()
        self._kept: dict[str, deque[bytes]] = {}
        self._size = 0

    def keep(self, line: dict[str, Any], created: float) -> None:
        """Keep one line, as logs.py has made it; `created` in seconds since the epoch. It never raises."""
        try:
            span = current.get()
            call = span.invocation.call if span is not None and span.invocation is not None else None
            content = _record(line, int(created * 1e9))
            with self._lock:
                self._kept.setdefault(call.function if call is not None else "", deque()).append(content)
                self._size += len(content)
                full = self._size > _FULL
            if full:
                self._agent.delivery.flush(self._agent.settings.flush_timeout)
        except Exception as error:  # noqa: BLE001 - a line that cannot be sent is on stdout
            complaints.failure("sending a log line", error)

    def drain(self) -> list[bytes]:
        """Return what was kept since the last call: a request's body for each function."""
        with self._lock:
            kept, self._kept, self._size = self._kept, {}, 0
        resource = self._agent.resource
        return [encode.logs(resource(function), lines, faasight.__version__) for function, lines in kept.items()]


def install(agent: Agent) -> Records:
    """Take each line from now on."""
    import logging

    records = Records(agent)
    logs.forward = records.keep
    original = logging.Logger.callHandlers
    if not hasattr(original, "__faasight__"):

        def call_handlers(self: logging.Logger, record: LogRecord) -> None:
            _forward(record)
            original(self, record)

        call_handlers.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
        logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
    return records


def _forward(record: LogRecord) -> None:
    if logs.forward is not None:
        try:
            logs.forward(logs.line_of(record), record.created)
        except Exception as error:  # noqa: BLE001 - a message that does not fit its arguments is logging's to report
            complaints.say(f"a log line cannot be read: {type(error).__name__}")


def _is_nested(value: object) -> bool:
    """Whether it holds other values, and is no list of plain ones: OpenTelemetry's attributes have those alone."""
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, (dict, list, tuple)) for item in value)
    return isinstance(value, dict)


def _record(line: dict[str, Any], time_ns: int) -> bytes:
    level = str(line.get("level", ""))
    rest = {
        _RENAMED.get(key, key): logs.nested(value) if _is_nested(value) else value
        for key, value in line.items()
        if key not in _PLACED and not str(key).startswith(_GOOGLE)
    }
    ids = (line["trace_id"], line["span_id"]) if "trace_id" in line else ("", "")
    return encode.log_record(time_ns, _SEVERITIES.get(level, 0), level, line.get("message", ""), rest, *ids)
