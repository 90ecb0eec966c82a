"""All settings of the platform in one table. The wrapper has its own table, because it travels alone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from faasight.settings import TABLE as OF_WRAPPER
from faasight_store import LEAST_MEMORY_BYTES

from faasight_cli.errors import SettingError


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The table's values; one field for each row, by its name."""

    store: str
    store_memory_mb: int  # 0: the engine's own bound
    collector_http: Address
    collector_grpc: Address | None  # None is off
    dashboards: Address
    metrics: Address | None  # None is off
    allow_remote: bool
    tokens: Path | None  # None: nobody is asked
    token_requests_per_s: int  # 0: no limit
    token_mb_per_s: int  # 0: no limit
    tls_certificate: Path | None
    tls_key: Path | None
    tls_client_ca: Path | None
    cors_origins: frozenset[str]
    max_connections: int  # 0: as many as memory was planned for
    journal: Path | None  # None: beside the data
    journal_budget_mb: int
    disk_reserve_mb: int
    workers: int
    adopt: Path | None
    max_body_mb: int
    keep_traces_days: int
    keep_logs_days: int
    keep_metrics_days: int
    keep_invocations_days: int
    keep_rollups_days: int
    keep_alerts_days: int
    store_budget_gb: int
    url: str
    range: str
    refresh_s: int
    slack_webhook: str
    rules: Path | None
    log_level: str
    log_format: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value: how it is called, what is allowed, and how it is read (ValueError if it cannot be)."""

    name: str
    allowed: str
    parse: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table."""

    name: str  # of the field
    kind: Kind
    default: str
    meaning: str

    @property
    def env(self) -> str:
        """The environment variable."""
        return f"FAASIGHT_{self.name.upper()}"


def _dsn(text: str) -> str:
    if not re.match(r"(chdb|clickhouses?)://\S+$", text):
        raise ValueError
    return text


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError
    return Address(host.strip("[]"), int(port))


def _url(text: str) -> str:
    if not text:
        return ""
    parts = urlsplit(text)  # raises ValueError too
    if not re.fullmatch(r"https?://[!-~]+", text) or not parts.hostname or parts.port == 0:
        raise ValueError
    return text.rstrip("/")


def _origins(text: str) -> frozenset[str]:
    origins = [origin.strip() for origin in text.split(",") if origin.strip()]
    if not all(re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+", origin) for origin in origins):
        raise ValueError
    return frozenset(origin.lower() for origin in origins)


def _yes_no(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError
    return known[text.lower()]


def _whole(least: int, most: int) -> Kind:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return Kind("number", f"a whole number from {least} to {most}", parse)


def _one_of(*names: str) -> Kind:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError
        return text.lower()

    return Kind("choice", ", ".join(names[:-1]) + " or " + names[-1], parse)


def _memory_mb(text: str) -> int:
    if not text.isdecimal() or (int(text) and not LEAST_MEMORY_BYTES // 1024**2 <= int(text) <= 10_000_000):
        raise ValueError
    return int(text)


def _range(text: str) -> str:
    if not re.fullmatch(r"now-[1-9]\d*[smhd]", text):
        raise ValueError
    return text


DSN = Kind("address", "chdb:///path or clickhouse://user:password@host:port/database", _dsn)
LISTEN = Kind("host:port", "a host and a port from 0 to 65535, as in 127.0.0.1:8050 or [::1]:8050", _address)
LISTEN_OR_OFF = Kind("host:port", f"{LISTEN.allowed}; or off", lambda text: None if text == "off" else _address(text))
URL = Kind("URL", "an address that begins with http:// or https://, or nothing", _url)
PATH = Kind("path", "a path, or nothing", lambda text: Path(text) if text else None)
YES_NO = Kind("yes or no", "yes, no, true, false, on, off, 1 or 0", _yes_no)
ORIGINS = Kind("origins", "https://app.example.com,http://localhost:3000 and the like, or nothing", _origins)
RANGE = Kind("range", "now-5m, now-3h, now-7d and the like", _range)
MB = _whole(1, 10_000_000)
MEMORY_MB = Kind("number", f"0, or a whole number from {LEAST_MEMORY_BYTES // 1024**2} to 10000000", _memory_mb)
DAYS = _whole(1, 3650)

TABLE: tuple[Setting, ...] = (
    Setting(
        "store", DSN, "chdb://./faasight-data", "Where telemetry is kept: embedded in a folder, or a ClickHouse server."
    ),
    Setting(
        "store_memory_mb",
        MEMORY_MB,
        "0",
        "How much memory (MiB) the embedded store may take in all; 0 is nine tenths of the machine."
        " A server has a setting of its own.",
    ),
    Setting(
        "collector_http",
        LISTEN,
        "127.0.0.1:4318",
        "Where the collector takes OTLP/HTTP, JSON logs and platform events.",
    ),
    Setting(
        "collector_grpc",
        LISTEN_OR_OFF,
        "127.0.0.1:4317",
        "Where the collector takes OTLP/gRPC.",
    ),
    Setting("dashboards", LISTEN, "127.0.0.1:8050", "Where the dashboards answer."),
    Setting(
        "metrics",
        LISTEN_OR_OFF,
        "off",
        "Where dashboards and alerts answer GET /metrics for Prometheus, as in 127.0.0.1:9464; the collector answers it"
        " on its HTTP address.",
    ),
    Setting(
        "allow_remote",
        YES_NO,
        "no",
        "Listen beyond this machine where nobody is asked who they are: guard it by your network.",
    ),
    Setting(
        "tokens",
        PATH,
        "",
        "File of ingest tokens, which `faasight tokens` writes and the collector reads again when it changes;"
        " if empty, senders are not asked who they are.",
    ),
    Setting(
        "token_requests_per_s",
        _whole(0, 1_000_000),
        "0",
        "How many requests a second the collector takes with one token, unless that token has a limit of its own;"
        " 0 is no limit.",
    ),
    Setting(
        "token_mb_per_s",
        _whole(0, 100_000),
        "0",
        "How many MB a second, decompressed, the collector takes with one token; 0 is no limit.",
    ),
    Setting(
        "tls_certificate",
        PATH,
        "",
        "The collector's certificate with its chain, PEM; read again when it changes. If empty, there is no TLS.",
    ),
    Setting("tls_key", PATH, "", "The certificate's key, PEM, without a password."),
    Setting(
        "tls_client_ca",
        PATH,
        "",
        "CAs, PEM, one of which must have signed the certificate that a sender shows; if empty, senders show none.",
    ),
    Setting(
        "cors_origins",
        ORIGINS,
        "",
        "Origins of the web pages that may send telemetry from browsers; if empty, none may.",
    ),
    Setting(
        "max_connections",
        _whole(0, 1_000_000),
        "0",
        "How many HTTP connections the collector holds; beyond them those unused for longest give way. 0 is 10,000,"
        " or 4,000 with TLS, which takes six times the memory.",
    ),
    Setting(
        "journal",
        PATH,
        "",
        "Folder of the collector's journal; if empty, `journal` in the store's folder, else `./faasight-journal`.",
    ),
    Setting(
        "journal_budget_mb",
        MB,
        "4096",
        "How large the journal may grow while the store is away; beyond it senders are asked to wait.",
    ),
    Setting("disk_reserve_mb", MB, "256", "How much of the disk the journal leaves free."),
    Setting(
        "workers",
        _whole(1, 64),
        "1",
        "How many processes `faasight collector` runs on the same ports; more than one needs a ClickHouse server.",
    ),
    Setting("adopt", PATH, "", "Folder with the journal of a collector that was lost: it is emptied into ours."),
    Setting("max_body_mb", _whole(1, 1024), "20", "The largest body of a request, before and after decompression."),
    Setting("keep_traces_days", DAYS, "31", "How long spans and the index of traces are kept."),
    Setting("keep_logs_days", DAYS, "31", "How long log lines are kept."),
    Setting("keep_metrics_days", DAYS, "62", "How long metrics are kept, and what the collectors say of themselves."),
    Setting(
        "keep_invocations_days", DAYS, "62", "How long each invocation is kept, and counts by the minute and by edge."
    ),
    Setting("keep_rollups_days", DAYS, "400", "How long counts by the hour are kept: functions, errors, edges."),
    Setting("keep_alerts_days", DAYS, "400", "How long changes of alerts are kept, and what became of their messages."),
    Setting(
        "store_budget_gb",
        _whole(0, 10_000_000),
        "0",
        "How much disk the store may take, in GB (10^9 bytes); beyond it the oldest days are dropped. 0: no limit.",
    ),
    Setting(
        "url", URL, "", "Where people reach the dashboards, for links in alerts; if empty, made of FAASIGHT_DASHBOARDS."
    ),
    Setting("range", RANGE, "now-3h", "The time range of a page opened without one."),
    Setting(
        "refresh_s",
        _whole(0, 3600),
        "10",
        "How often pages refresh for those who have not chosen, in seconds; 0 is off.",
    ),
    Setting(
        "slack_webhook", URL, "", "Slack's incoming webhook for alerts; if empty, nothing is sent. It is a secret."
    ),
    Setting("rules", PATH, "", "YAML file with alert rules; if empty, the built-in ones."),
    Setting(
        "log_level",
        _one_of("debug", "info", "warning", "error"),
        "info",
        "The least that the platform logs about itself.",
    ),
    Setting(
        "log_format",
        _one_of("auto", "console", "json"),
        "auto",
        "How it logs; auto is console on a terminal, else json.",
    ),
)


def load(environ: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of an environment; `overrides` (by field name) come from the command line and win.

    Raises SettingError for the first value that is not allowed.
    """
    chosen = dict(overrides or {})
    values = {row.name: _value(row, chosen.get(row.name, environ.get(row.env))) for row in TABLE}
    settings = Settings(**values)
    if bool(settings.tls_certificate) != bool(settings.tls_key) or (
        settings.tls_client_ca and not settings.tls_certificate
    ):
        raise SettingError(
            "TLS needs both FAASIGHT_TLS_CERTIFICATE and FAASIGHT_TLS_KEY; a client CA is on top of them"
        )
    return settings


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Return the names in an environment that look like settings, but are neither the platform's nor the wrapper's."""
    known = {row.env for row in TABLE} | {row.env for row in OF_WRAPPER}
    return sorted(name for name in environ if name.startswith("FAASIGHT_") and name not in known)


def _value(row: Setting, text: str | None) -> Any:  # noqa: ANN401  # the type is the row's
    try:
        return row.kind.parse(row.default if text is None else text.strip())
    except ValueError:
        shown = "(a secret)" if row.name == "slack_webhook" else repr(_without_password(text or ""))
        raise SettingError(f"{row.env} is {shown}; allowed is {row.kind.allowed}") from None


def _without_password(text: str) -> str:
    """Return an address without what stands before its host, however malformed the rest is."""
    _, at, host = text.rpartition("@")
    return f"...@{host}" if at else text


def table() -> str:
    """Return the table in Markdown, as it stands in docs/configuration.md."""
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for row in TABLE:
        default = f"`{row.default}`" if row.default else "(empty)"
        lines.append(f"| `{row.env}` | {row.kind.name}: {row.kind.allowed} | {default} | {row.meaning} |")
    return "\n".join(lines) + "\n"
