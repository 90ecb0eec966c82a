"""How the platform logs about itself: structlog for all, for people on a terminal and as JSON elsewhere, on stderr."""

import logging
import sys

import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

# Libraries that tell of each request at info; the last two warn of every fault that they raise as well.
_CHATTY = dict.fromkeys(("werkzeug", "botocore", "uvicorn.access", "dash"), logging.WARNING)
_CHATTY |= dict.fromkeys(("urllib3", "clickhouse_connect"), logging.ERROR)


def configure(level: str, format: str) -> None:  # noqa: A002  # named as the setting is
    """Send structlog's and the standard library's logs one way; `format` is auto, console or json."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last(console)],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level.upper())))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _last(console: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
    return [
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),  # locals hold secrets
        structlog.processors.EventRenamer("message"),
        _in_order,
        structlog.processors.JSONRenderer(),
    ]


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put what every line has before what only this one has."""
    return {key: event[key] for key in ("timestamp", "level", "logger", "message") if key in event} | dict(event)
