"""Makes each part out of the settings: the one place that knows how the table maps onto the parts' own settings."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from faasight_store import Store
from faasight_store.dsn import EmbeddedDsn, parse
from faasight_store.lifetime import DEFAULT_DAYS, Lifetime

from faasight_cli.settings import Address, Settings

if TYPE_CHECKING:
    from faasight_collector import Settings as CollectorSettings
    from faasight_collector import TlsFiles

    from faasight_cli.platform import Service

log = structlog.get_logger("faasight")

PARTS = ("collector", "dashboards", "alerts")
_MIB = 1024 * 1024
_GB = 1000**3  # as disks are sold
_REMEMBER_S = 2.0  # pages and rules ask the same things first; what they show is that much older at most
_PLACES, _PLACES_TLS = 10_000, 4_000  # connections: 6 and 34 KiB each (docs/design/collector.md)
_SHIPPING_S = 3.0  # of the five seconds that a stop may take; what is not shipped by then stays in the journal
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not listened on: where those addresses are reached from here


def open_store(settings: Settings) -> Store:
    """Open the store. Raises StoreError."""
    return Store.open(settings.store, memory_bytes=settings.store_memory_mb * _MIB, remember_s=_REMEMBER_S)


def opened(settings: Settings) -> Store:
    """Open the store and bring its schema up to date. Raises StoreError."""
    store = open_store(settings)
    try:
        applied = store.migrate()
    except BaseException:
        store.close()
        raise
    if applied:
        log.info("schema brought up to date", migrations=applied)
    return store


def shown(dsn: str) -> str:
    """Return a store's address without its password. Raises DsnError."""
    return str(parse(dsn))


def data_dir(settings: Settings) -> Path | None:
    """Return the folder of the embedded store, None for a server. Raises DsnError."""
    dsn = parse(settings.store)
    return dsn.path if isinstance(dsn, EmbeddedDsn) else None


def journal_dir(settings: Settings) -> Path:
    """Return where the collector keeps its journal."""
    folder = data_dir(settings)
    return settings.journal or (folder / "journal" if folder else Path("faasight-journal"))


def reached_at(address: Address, scheme: str = "http") -> str:
    """Return the URL of a service that listens there, as seen from this machine."""
    return f"{scheme}://{Address(_ANYWHERE.get(address.host, address.host), address.port)}"


def collector_url(settings: Settings) -> str:
    """Return where telemetry is sent to over HTTP, as seen from this machine."""
    return reached_at(settings.collector_http, "https" if settings.tls_certificate else "http")


def dashboards_url(settings: Settings) -> str:
    """Return where people reach the dashboards."""
    return settings.url or reached_at(settings.dashboards)


def lifetime(settings: Settings) -> Lifetime:
    """Return how long the store keeps what it has."""
    days = {name: getattr(settings, f"keep_{name}_days") for name in DEFAULT_DAYS}
    return Lifetime(days=days, budget_bytes=settings.store_budget_gb * _GB)


def build(part: str, settings: Settings, store: Store, worker: int = 0) -> "Service":
    """Return a part, not yet started; `worker` is the number of a collector among several. Imports what is wanted."""
    if part == "collector":
        return _collector(settings, store, worker)
    makers = {"dashboards": _dashboards, "alerts": _alerts}
    return makers[part](settings, store)


def tls_files(settings: Settings) -> "TlsFiles | None":
    """Return the collector's certificate, key and clients' CA."""
    from faasight_collector import TlsFiles

    if not settings.tls_certificate or not settings.tls_key:
        return None
    return TlsFiles(certificate=settings.tls_certificate, key=settings.tls_key, client_ca=settings.tls_client_ca)


def collector_settings(settings: Settings, worker: int = 0) -> "CollectorSettings":
    """Return the collector's own settings; `worker` is its number among several, 0 if it is alone."""
    from faasight_collector import Settings as CollectorSettings
    from faasight_collector.adoption import WORKER
    from faasight_collector.store_memory import segment_bytes

    home = journal_dir(settings)
    workers = settings.workers if worker else 1
    return CollectorSettings(
        journal_dir=home / f"{WORKER}{worker}" if worker else home,
        home=home,
        adopt=settings.adopt,
        worker=worker,
        workers=workers,
        share_ports=worker > 0,
        host=settings.collector_http.host,
        http_port=settings.collector_http.port,
        grpc_host=settings.collector_grpc.host if settings.collector_grpc else settings.collector_http.host,
        grpc_port=settings.collector_grpc.port if settings.collector_grpc else None,
        allow_remote=settings.allow_remote,
        tokens=settings.tokens,
        token_requests_per_s=settings.token_requests_per_s,
        token_bytes_per_s=settings.token_mb_per_s * _MIB,
        tls=tls_files(settings),
        cors_origins=settings.cors_origins,
        max_connections=settings.max_connections or (_PLACES_TLS if settings.tls_certificate else _PLACES),
        max_body_bytes=settings.max_body_mb * _MIB,
        journal_budget_bytes=settings.journal_budget_mb * _MIB // workers,
        disk_reserve_bytes=settings.disk_reserve_mb * _MIB,
        segment_bytes=segment_bytes(settings.store_memory_mb * _MIB),
        store_is_shared=data_dir(settings) is None,  # a server takes inserts while we are stopped
        stop_timeout_s=_SHIPPING_S,
        lifetime=lifetime(settings),
    )


def check_access(settings: Settings) -> None:
    """Read what decides who may send, before anything is started. Raises CollectorError."""
    from faasight_collector.access.control import Access

    Access.of(collector_settings(settings))


def remember_journals(settings: Settings) -> None:
    """Have the workers know each other's requests of before they start. Raises CollectorError."""
    from faasight_collector.adoption import remember

    remember(collector_settings(settings, worker=1), time.time())


def _collector(settings: Settings, store: Store, worker: int) -> "Service":
    from faasight_collector import Collector

    return Collector(collector_settings(settings, worker), store)


def _dashboards(settings: Settings, store: Store) -> "Service":
    from faasight_dashboards import Dashboards
    from faasight_dashboards import Settings as DashboardsSettings

    own = DashboardsSettings(
        host=settings.dashboards.host,
        port=settings.dashboards.port,
        allow_remote=settings.allow_remote,
        default_range=settings.range,
        default_refresh_s=settings.refresh_s,
        collector_url=collector_url(settings),
        collector_asks_for_token=settings.tokens is not None,
    )
    return Dashboards(own, store)


def _alerts(settings: Settings, store: Store) -> "Service":
    from faasight_alerts import Alerts
    from faasight_alerts import Settings as AlertsSettings

    own = AlertsSettings(
        url=dashboards_url(settings),
        rules=settings.rules,
        slack_webhook=settings.slack_webhook or None,
    )
    return Alerts(own, store)
