"""JSON log lines that know their invocation: for structlog, and for logging without importing structlog."""

from __future__ import annotations

import logging
import os
import sys
import time
from json import JSONEncoder
from math import isfinite

from faasight import agent as agents
from faasight import mask
from faasight.complain import complaints
from faasight.context import current
from faasight.spans import safe_str

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from structlog.typing import FilteringBoundLogger

    from faasight.agent import Agent

_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL", "EXCEPTION": "ERROR", "NOTSET": "DEBUG"}
_VERSION = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")  # a process has one
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "aws_request_id",
    "tenant_id",
    "taskName",
    "_frame_type",
}
_encoder = JSONEncoder(
    default=lambda other: mask.text(str(other)),
    ensure_ascii=False,
    separators=(",", ":"),
    skipkeys=True,
    allow_nan=False,
)


def _made_once() -> Callable[[Any], str]:
    """Return what turns a line into JSON: `json.dumps`, and `JSONEncoder.encode` too, would make a C encoder a call."""
    try:
        from json import encoder as json

        # What JSONEncoder.iterencode calls. No markers, which find circles: those end as a RecursionError.
        made: Any = vars(json)["c_make_encoder"]
        chunks = made(None, _encoder.default, json.encode_basestring, None, ":", ",", False, True, False)
        if "".join(chunks({"a": [1, "b"]}, 0)) == '{"a":[1,"b"]}':
            return lambda line: "".join(chunks(line, 0))
    except Exception:  # noqa: BLE001 - an interpreter without it, or with another one
        return _encoder.encode
    return _encoder.encode


_dumps = _made_once()
_PLAIN = frozenset({str, int, float, bool, type(None)})


def use_orjson(orjson: ModuleType) -> None:
    """Encode lines by a quicker library, which the function has imported: the same JSON, or the standard one's.

    It writes NaN as null, enumerations by their value, and refuses some of what the standard library writes. What would
    differ goes the usual way.
    """
    global _line_dumps
    quick: Callable[[dict[str, Any]], bytes] = orjson.dumps

    def dumps(line: dict[str, Any]) -> str:
        if _PLAIN.issuperset(map(type, line.values())):
            try:
                text = quick(line)
            except Exception:  # noqa: BLE001 - keys that are no text, lone surrogates, numbers of over 64 bits
                return _dumps(line)
            if b"null" not in text:
                return text.decode()
        return _dumps(line)

    _line_dumps = dumps


_line_dumps: Callable[[dict[str, Any]], str] = _dumps


forward: Callable[[dict[str, Any], float], None] | None = None  # set by log_records.py: takes each line, and when


def head(created: float, level: str, message: str, logger: str) -> dict[str, Any]:
    """Return the fields that every line has, in wire.md's order; `created` in seconds since the epoch."""
    seconds, millis = divmod(int(created * 1000), 1000)
    agent = agents.get()
    line: dict[str, Any] = {
        "timestamp": f"{_second(seconds)}.{millis:03d}Z",
        "level": _LEVELS.get(level, level),
        "message": mask.text(message),
        "logger": logger,
        "function": agent.service,
        "version": _VERSION,
    }
    span = current.get()
    if span is not None and span.invocation is not None:
        line["request_id"] = span.invocation.request_id
        line["trace_id"] = span.trace_id
        line["span_id"] = span.span_id
        line["cold_start"] = span.invocation.cold
    if agent.host is not None:
        agent.host.log(line, span)
    return line


_last_second = (-1, "")


def _second(seconds: int) -> str:
    """Return a second as RFC 3339 has it, without the zone; that of the line before is remembered."""
    global _last_second
    known = _last_second  # one step: another thread may put its own
    if known[0] != seconds:
        known = _last_second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
    return known[1]


def add(line: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Add the user's keys; one that is taken gets a trailing underscore."""
    for key, value in extra.items():
        line[f"{key}_" if key in line else key] = mask.value(key, value)
    return line


def write(line: dict[str, Any]) -> str:
    """Return the line as JSON; whatever it holds, a line comes out."""
    try:
        text = _line_dumps(line)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything, and logging it must not end the function
        text = _dumps({safe_str(key): _plain(value) for key, value in line.items()})
    # Lone surrogates are legal in a str and in no output.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def nested(value: dict[object, object] | list[object] | tuple[object, ...]) -> object:
    """Return what holds other values as the JSON that it is on stdout."""
    try:
        return _dumps(value)
    except Exception:  # noqa: BLE001 - see `write`
        return _plain(value)


def _plain(value: object) -> object:
    """Return what JSON can hold, whatever the value is; NaN and infinities are text."""
    if isinstance(value, (str, bool, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    return mask.text(safe_str(value))


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record of the standard library as a line's fields."""
    line = head(record.created, record.levelname, record.getMessage(), record.name)
    add(line, {key: value for key, value in vars(record).items() if key not in _STANDARD})
    if record.exc_info and record.exc_info[0] is not None:
        line["error_type"] = record.exc_info[0].__name__
        line["error_message"] = mask.text(safe_str(record.exc_info[1]))
        line["stack_trace"] = mask.text(_plain_formatter.formatException(record.exc_info))
    return line


_plain_formatter = logging.Formatter()


class JsonFormatter(logging.Formatter):
    """The standard library's records as lines of JSON."""

    def __init__(self, end: str = "") -> None:
        """`end` follows each line; the AWS runtime's handlers add none of their own."""
        super().__init__()
        self._end = end

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        return write(line_of(record)) + self._end


def use_json(agent: Agent) -> None:
    """Give the root logger's handlers our formatter: on AWS Lambda they are the runtime's, whose log sink is kept."""
    root = logging.getLogger()
    for handler in root.handlers:
        handler.setFormatter(JsonFormatter("\n" if type(handler).__module__.endswith("bootstrap") else ""))
    if agent.settings.log_level:
        root.setLevel(agent.settings.log_level)


def get_logger(*arguments: object, **initial: object) -> FilteringBoundLogger:
    """Return a structlog logger, set up for JSON lines with request, trace and span ids (imports structlog)."""
    import structlog

    configure(structlog, agents.get())
    logger: FilteringBoundLogger = structlog.get_logger(*arguments, **initial)
    return logger


def configure(structlog: ModuleType, agent: Agent) -> None:
    """Set structlog up, unless the user has."""
    if structlog.is_configured() or agent.settings.logs == "off" or agent.settings.disabled:
        return
    level = getattr(logging, agent.settings.log_level or "INFO")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            _exception,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StdoutFactory(),
        cache_logger_on_first_use=False,  # the runtime replaces sys.stdout; tests do, too
    )


def _exception(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Turn `exc_info` into the three error fields: a processor of structlog."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        from faasight.spans import stack_trace

        event["error_type"] = type(error).__name__
        event["error_message"] = mask.text(safe_str(error))
        event["stack_trace"] = mask.text(stack_trace(error))
    return event


def _render(logger: _Stdout, method: str, event: dict[str, Any]) -> str:
    """Write the line: the last processor of structlog."""
    level = "INFO" if method == "msg" else method.upper()
    created = time.time()
    line = add(head(created, level, str(event.pop("event", "")), logger.name), event)
    if forward is not None:
        forward(line, created)
    return write(line)


class _StdoutFactory:
    """Makes loggers for structlog; the first argument of `get_logger` is the logger's name."""

    def __call__(self, *arguments: object) -> _Stdout:
        return _Stdout(str(arguments[0]) if arguments else "")


class _Stdout:
    """Writes lines to whatever sys.stdout is at that moment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, line: str) -> None:
        """Write one line."""
        try:
            sys.stdout.write(line + "\n")
        except (OSError, ValueError) as error:  # stdout is closed: a log line must not end the function
            complaints.say(f"cannot write a log line: {error}")

    debug = info = warning = warn = error = critical = fatal = exception = log = msg
