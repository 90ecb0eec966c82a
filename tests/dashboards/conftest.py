"""A site over the real store with an hour of a small shop's telemetry, and a real browser to look at it."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browser import Visit, chromium, visit
from faasight_dashboards import Dashboards, Settings
from faasight_store import Store
from faasight_store.queries import ingest
from faasight_store.types import IngestStats
from order_flow import Flow, land_flow
from playwright.sync_api import Browser
from shop import land_shop

__all__ = ["chromium"]  # a fixture


@pytest.fixture(scope="session")
def shop_store(embedded_engine: Store, embedded_directory: Path) -> Iterator[Store]:
    """Return a store with the shop's telemetry; read only, for it is shared."""
    assert embedded_engine  # one engine a process: it stays open
    with Store.open(f"chdb://{embedded_directory}?database=dashboards_shop") as store:
        store.migrate()
        now = datetime.now(UTC)
        land_shop(store, now)
        ingest.report(
            store, [IngestStats("c1", now, "traces", accepted=812, bytes=9_000_000, shipped=812, ship_lag_s=0.3)]
        )
        yield store


@pytest.fixture(scope="session")
def site(shop_store: Store) -> Iterator[str]:
    """Return the address of the dashboards over the shop."""
    dashboards = Dashboards(Settings(port=0), shop_store)
    dashboards.start()
    yield dashboards.url
    dashboards.stop()


@pytest.fixture(scope="session")
def order_store(embedded_engine: Store, embedded_directory: Path) -> Iterator[Store]:
    """Return a store for one order's flow."""
    assert embedded_engine  # one engine a process: it stays open
    with Store.open(f"chdb://{embedded_directory}?database=dashboards_order") as store:
        store.migrate()
        yield store


@pytest.fixture(scope="session")
def flow(order_store: Store) -> Flow:
    """Return what is stored of the order."""
    return land_flow(order_store, datetime.now(UTC))


@pytest.fixture(scope="session")
def order_site(order_store: Store, flow: Flow) -> Iterator[str]:
    """Return the address of the dashboards over the order's flow."""
    assert flow  # it has landed
    dashboards = Dashboards(Settings(port=0), order_store)
    dashboards.start()
    yield dashboards.url
    dashboards.stop()


@pytest.fixture(scope="module")
def order_tab(chromium: Browser, order_site: str) -> Iterator[Visit]:
    """Return a tab on the order's flow; what goes wrong in it fails the test, and so does hostile text that runs."""
    with visit(chromium, order_site) as seen:
        yield seen
        assert seen.faults == []
        assert seen.page.evaluate("window.hacked") is None


@pytest.fixture
def token() -> str:
    """Return a token for one landing."""
    return secrets.token_hex(8)
