"""The platform's telemetry about itself: its spans and log lines through OpenTelemetry's SDK, where that is asked for.

The variables are OpenTelemetry's own (docs/watching.md). OTEL_TRACES_EXPORTER and OTEL_LOGS_EXPORTER must say "otlp":
a server that observes others must not begin to send because a shell has an endpoint set for them.
"""

import logging
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import structlog
from opentelemetry import trace

from faasight_cli.errors import SettingError

log = structlog.get_logger("faasight")

DISTRIBUTION = "faasight-platform"  # the collector knows its own telemetry by it, and makes no spans of that
STOP_S = 0.4  # of the five seconds that a stop may take
_KNOWN = ("otlp", "none")
_PROTOCOLS = ("http/protobuf", "grpc")
# Those who carry the lines: theirs about carrying them would go round in circles.
_CARRIERS = ("opentelemetry", "urllib3", "requests", "grpc")


def start(part: str, environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Begin to send what the variables ask for; return what ends it. Raises SettingError for a value not allowed."""
    chosen = {signal: _exporter(environ, signal) for signal in ("TRACES", "LOGS")}
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(chosen.values()):
        return lambda: None
    resource = _resource(part, environ)
    ends: list[Callable[[], object]] = []
    if chosen["TRACES"]:
        ends.append(_traces(resource, _protocol(environ, "TRACES")))
    if chosen["LOGS"]:
        ends.append(_logs(resource, _protocol(environ, "LOGS")))
    log.info("telling of itself by OpenTelemetry", signals=[name.lower() for name, on in chosen.items() if on])

    return lambda: _together(ends)


def _together(ends: Sequence[Callable[[], object]]) -> None:
    """Send what is left, for as long as the platform's own stop has room for: whoever takes it may be away."""
    threads = [threading.Thread(target=end, daemon=True) for end in ends]
    for thread in threads:
        thread.start()
    until = time.monotonic() + STOP_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _exporter(environ: Mapping[str, str], signal: str) -> bool:
    name = f"OTEL_{signal}_EXPORTER"
    value = environ.get(name, "").strip().lower() or "none"
    if value not in _KNOWN:
        raise SettingError(f"{name} is {value!r}; allowed is {' or '.join(_KNOWN)}")
    return value == "otlp"


def _protocol(environ: Mapping[str, str], signal: str) -> str:
    common = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    value = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", common).strip() or _PROTOCOLS[0]
    if value not in _PROTOCOLS:
        raise SettingError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {value!r}; allowed is {' or '.join(_PROTOCOLS)}")
    return value


def _resource(part: str, environ: Mapping[str, str]) -> Any:  # noqa: ANN401  # the SDK is imported only if it is wanted
    from opentelemetry.sdk.resources import Resource

    own = {
        "service.version": version("faasight-platform"),
        "service.instance.id": str(uuid.uuid4()),
        "host.name": platform.node(),
        "telemetry.distro.name": DISTRIBUTION,
        "telemetry.distro.version": version("faasight-platform"),
    }
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        own["service.name"] = part
    return Resource.create(own)


def _traces(resource: Any, protocol: str) -> Callable[[], None]:  # noqa: ANN401
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Exporter
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[assignment]
            OTLPSpanExporter as Exporter,
        )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Exporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _logs(resource: Any, protocol: str) -> Callable[[], None]:  # noqa: ANN401
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as Exporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # type: ignore[assignment]
            OTLPLogExporter as Exporter,
        )
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(Exporter()))
    handler = Bridge(provider)
    logging.getLogger().addHandler(handler)

    def stop() -> None:
        logging.getLogger().removeHandler(handler)
        provider.shutdown()

    return stop


class Bridge(logging.Handler):
    """Hands log lines, structlog's and the standard library's, to an OpenTelemetry provider of loggers."""

    def __init__(self, provider: Any) -> None:  # noqa: ANN401  # opentelemetry.sdk._logs.LoggerProvider
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line; a line that cannot be sent is dropped, as logging does it."""
        if record.name.partition(".")[0] in _CARRIERS:
            return
        try:
            self._send(record)
        except Exception:  # noqa: BLE001  # telemetry never breaks its host
            self.handleError(record)

    def _send(self, record: logging.LogRecord) -> None:
        from opentelemetry._logs import SeverityNumber

        fields = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
        body = str(fields.pop("event", ""))
        error = _error(fields.get("exc_info") or record.exc_info)
        severity = {
            10: SeverityNumber.DEBUG,
            20: SeverityNumber.INFO,
            30: SeverityNumber.WARN,
            40: SeverityNumber.ERROR,
        }
        level = min(record.levelno // 10 * 10, 50)
        self._provider.get_logger(record.name).emit(
            timestamp=int(record.created * 1e9),
            severity_number=severity.get(level, SeverityNumber.FATAL if level > 40 else SeverityNumber.DEBUG),
            severity_text=record.levelname,
            body=body,
            attributes={key: _plain(value) for key, value in fields.items() if key not in _HELD},
            exception=error,
        )


_HELD = {"timestamp", "level", "logger", "exc_info", "stack_info"}  # which a log record has fields for


def _error(given: object) -> BaseException | None:
    """Return the exception of a line, in whichever of logging's forms it is given."""
    if given is True:
        return sys.exc_info()[1]
    if isinstance(given, tuple):
        given = given[1]
    return given if isinstance(given, BaseException) else None


def _plain(value: object) -> str | bool | int | float:
    return value if isinstance(value, (str, bool, int, float)) else str(value)
