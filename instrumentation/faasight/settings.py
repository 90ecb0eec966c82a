"""All settings of the wrapper in one table: a wrong one falls back to its default with a warning line, never raises."""

from __future__ import annotations

import os

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Setting:
    """One row of the table. No dataclass: dataclasses import inspect, and that costs a cold start milliseconds."""

    __slots__ = ("default", "env", "kind", "meaning", "name")

    def __init__(self, name: str, env: str, kind: str, default: str, meaning: str) -> None:
        self.name = name  # attribute of Settings
        self.env = env
        self.kind = kind  # how it is read: a key of _KINDS, or the allowed words
        self.default = default
        self.meaning = meaning


_LIBRARIES = (
    "botocore,urllib3,httpx,aiohttp,psycopg,pymysql,sqlite3,redis,pymongo,futures,structlog,orjson,opentelemetry"
)

TABLE = (
    Setting("disabled", "FAASIGHT_DISABLED", "flag", "0", "1 switches the wrapper off altogether"),
    Setting(
        "endpoint", "FAASIGHT_ENDPOINT", "url", "http://127.0.0.1:4318", "collector; else OTEL_EXPORTER_OTLP_ENDPOINT"
    ),
    Setting("headers", "OTEL_EXPORTER_OTLP_HEADERS", "pairs", "", "headers of each request to the collector: a=b,c=d"),
    Setting("token", "FAASIGHT_TOKEN", "text", "", "ingest token of the collector, sent as Authorization: Bearer"),
    Setting("service_name", "OTEL_SERVICE_NAME", "text", "", "service.name; else the function's name"),
    Setting("resource_attributes", "OTEL_RESOURCE_ATTRIBUTES", "pairs", "", "more resource attributes: a=b,c=d"),
    Setting("environment", "FAASIGHT_ENVIRONMENT", "text", "default", "deployment.environment.name: production..."),
    Setting("handler", "FAASIGHT_HANDLER", "text", "", "the function's own handler; the exec wrapper sets it"),
    Setting("flush_timeout", "FAASIGHT_FLUSH_TIMEOUT", "seconds", "0.2", "the longest a flush may take, seconds"),
    Setting(
        "flush_every",
        "FAASIGHT_FLUSH_EVERY",
        "seconds",
        "0",
        "a busy function sends so often, seconds; 0: after each invocation",
    ),
    Setting("confirm", "FAASIGHT_CONFIRM", "flag", "0", "1: a flush waits for the answer; 0: the next flush reads it"),
    Setting("cooldown", "FAASIGHT_COOLDOWN", "seconds", "5", "pause after a failed flush, seconds; doubles up to 60"),
    Setting(
        "idle_limit", "FAASIGHT_IDLE_LIMIT", "seconds", "30", "a connection unused for longer is made anew, seconds"
    ),
    Setting("buffer_bytes", "FAASIGHT_BUFFER_BYTES", "count", "1048576", "kept while the collector is away, bytes"),
    Setting(
        "fallback",
        "FAASIGHT_FALLBACK",
        "stdout|off",
        "stdout",
        "what cannot be sent: stdout: to the log, for the collector to read there; off: kept within the buffer",
    ),
    Setting(
        "after_answer",
        "FAASIGHT_AFTER_ANSWER",
        "flag",
        "1",
        "AWS Lambda: 1: telemetry is sent when the answer is out, before the next event; 0: the answer waits for it",
    ),
    Setting(
        "timeout_margin", "FAASIGHT_TIMEOUT_MARGIN", "seconds", "0.15", "a time-out is reported so long before, seconds"
    ),
    Setting(
        "start_after",
        "FAASIGHT_START_AFTER",
        "seconds",
        "1",
        "a run that takes longer is told of while it runs; 0: never",
    ),
    Setting(
        "import_threshold_ms", "FAASIGHT_IMPORT_THRESHOLD_MS", "number", "5", "slower imports become spans of INIT"
    ),
    Setting(
        "hooks",
        "FAASIGHT_HOOKS",
        "words",
        _LIBRARIES,
        "libraries to instrument when they are imported; default: these; otel:NAME: by OpenTelemetry's own",
    ),
    Setting(
        "carry",
        "FAASIGHT_CARRY",
        "words",
        "eventbridge,stepfunctions",
        "payloads whose JSON objects carry the context on: eventbridge, stepfunctions, kinesis; or off",
    ),
    Setting("statements", "FAASIGHT_STATEMENTS", "flag", "0", "1: texts of SQL statements, their values left out"),
    Setting(
        "peer_services", "FAASIGHT_PEER_SERVICES", "pairs", "", "external services: 127.0.0.1:4010=payment-provider"
    ),
    Setting(
        "logs", "FAASIGHT_LOGS", "json|off", "json", "json: lines carry request, trace and span ids; off: as they are"
    ),
    Setting(
        "send_logs",
        "FAASIGHT_SEND_LOGS",
        "flag",
        "0",
        "1: log lines go to the collector too, beside stdout: where no log path leads to it, or each comes twice",
    ),
    Setting("print", "FAASIGHT_PRINT", "json|off", "off", "json: what is printed becomes a log line; off: as it is"),
    Setting("log_level", "FAASIGHT_LOG_LEVEL", "level", "", "DEBUG, INFO...; else logging's own, INFO for structlog"),
    Setting("mask", "FAASIGHT_MASK", "on|off", "on", "on: secrets are hidden in errors, logs, attributes and metrics"),
    Setting("mask_keys", "FAASIGHT_MASK_KEYS", "words", "", "more keys whose values are hidden: iban,birthday"),
    Setting(
        "capture",
        "FAASIGHT_CAPTURE",
        "capture",
        "",
        "payloads to keep, masked: event, result, error (the event of what fails)",
    ),
    Setting("capture_bytes", "FAASIGHT_CAPTURE_BYTES", "count", "8192", "of each kept payload at most; up to 65536"),
    Setting("exporter", "FAASIGHT_EXPORTER", "builtin|otlp", "builtin", "otlp: through opentelemetry-exporter-otlp"),
    Setting("strict", "FAASIGHT_STRICT", "flag", "0", "1 raises the wrapper's own failures: for its tests"),
)


class Settings:
    """Values of the table; times in seconds unless the name says otherwise."""

    disabled: bool
    endpoint: str
    headers: dict[str, str]
    token: str
    service_name: str
    resource_attributes: dict[str, str]
    environment: str
    handler: str
    flush_timeout: float
    flush_every: float
    confirm: bool
    cooldown: float
    idle_limit: float
    buffer_bytes: int
    fallback: str
    after_answer: bool
    timeout_margin: float
    start_after: float
    import_threshold_ms: float
    hooks: tuple[str, ...]
    carry: tuple[str, ...]
    statements: bool
    peer_services: dict[str, str]
    logs: str
    send_logs: bool
    print: str
    log_level: str
    mask: str
    mask_keys: tuple[str, ...]
    capture: tuple[str, ...]
    capture_bytes: int
    exporter: str
    strict: bool

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        for row in TABLE:
            setattr(self, row.name, _value(row, _text(row, environ)))
        if self.token and not any(name.lower() == "authorization" for name in self.headers):
            self.headers = {**self.headers, "authorization": f"Bearer {self.token}"}


def _text(row: Setting, environ: Mapping[str, str]) -> str:
    text = environ.get(row.env, "")
    if not text and row.name == "endpoint":
        text = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    return text.strip()


def _value(row: Setting, text: str) -> object:
    parse = _KINDS.get(row.kind) or _choice(row.kind.split("|"))
    if text:
        try:
            return parse(text)
        except ValueError as error:
            complaints.say(f"{row.env}{_shown(row, text)}: {error}; using {row.default!r}")
    return parse(row.default)


def _shown(row: Setting, text: str) -> str:
    """Return a wrong value for the warning line, unless it may hold a key or a password: the line is logged."""
    return "" if row.name == "headers" or "@" in text else f"={text!r}"


def _flag(text: str) -> bool:
    word = text.lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("must be 1 or 0")


def _url(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    if scheme not in {"http", "https"} or not mark or not rest or rest.startswith(("/", ":")):
        raise ValueError("must be http://host:port or https://host:port")
    port = rest.partition("/")[0].rpartition("]")[2].partition(":")[2]
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("the port must be a number from 1 to 65535")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise ValueError("must be seconds from 0 to 3600")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e12:
        raise ValueError("must be a number from 0")
    return value


def _count(text: str) -> int:
    return int(_number(text))


def _pairs(text: str) -> dict[str, str]:
    """Parse `a=b,c=d`, percent-encoded values as the OpenTelemetry specification has them."""
    pairs = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, mark, value = item.partition("=")
        if not mark or not key.strip():
            raise ValueError("must be a=b,c=d")
        pairs[key.strip()] = _unquote(value.strip())
    return pairs


def _unquote(text: str) -> str:
    if "%" not in text:
        return text  # urllib.parse is not loaded for what nearly nobody writes
    from urllib.parse import unquote

    return unquote(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def _capture(text: str) -> tuple[str, ...]:
    words = _words(text.lower())
    if not {"event", "result", "error", "off"}.issuperset(words):
        raise ValueError("must be of event, result, error")
    return tuple(word for word in words if word != "off")


def _level(text: str) -> str:
    level = text.upper()
    if level not in {"", "DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL"}:
        raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return "WARNING" if level == "WARN" else level


def _choice(allowed: list[str]) -> Callable[[str], Any]:
    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text.lower()

    return parse


_KINDS: dict[str, Callable[[str], Any]] = {
    "flag": _flag,
    "url": _url,
    "text": str,
    "seconds": _seconds,
    "number": _number,
    "count": _count,
    "pairs": _pairs,
    "words": _words,
    "capture": _capture,
    "level": _level,
}
