"""The server shape: collector, dashboards and alerts as processes of their own, over the ClickHouse HTTP interface."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from browser import visit
from demo import SHOP
from faasight_store import Scope, Store
from faasight_store.queries import functions, traces
from faasight_store.queries.map import invocation_map
from playwright.sync_api import Browser
from polling import wait_until
from ports import free_ports
from slack_server import SlackServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

FAASIGHT = [sys.executable, "-m", "faasight_cli"]


class Service:
    """One process, with what it says in a file."""

    def __init__(self, folder: Path, name: str, command: list[str], environ: dict[str, str], ready: str) -> None:
        self.name, self._log = name, folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT)
        wait_until(lambda: self._ready(ready), f"{name} says {ready!r}")

    def _ready(self, ready: str) -> bool:
        assert self._process.poll() is None, self.said()
        return ready in self.said()

    def said(self) -> str:
        """Return all that it wrote."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """Ask it to stop; it must do so in order."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(180) == 0, self.said()[-3000:]


@pytest.fixture
def addresses(server_dsn: str, slack: SlackServer) -> dict[str, str]:
    """Return the settings that docker-compose.yml gives its services, here on free ports."""
    http, grpc, dashboards = free_ports(3)
    return {
        "FAASIGHT_STORE": server_dsn,
        "FAASIGHT_COLLECTOR_HTTP": f"127.0.0.1:{http}",
        "FAASIGHT_COLLECTOR_GRPC": f"127.0.0.1:{grpc}",
        "FAASIGHT_DASHBOARDS": f"127.0.0.1:{dashboards}",
        "FAASIGHT_SLACK_WEBHOOK": slack.url,
        "FAASIGHT_RULES": str(SHOP / "alerts.yaml"),
    }


@pytest.fixture
def services(addresses: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Run the services one by one, then the shop's functions, and its customers until the test is over."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("FAASIGHT_", "AWS_"))}
    subprocess.run([*FAASIGHT, "migrate"], env=environ | addresses, cwd=tmp_path, check=True, timeout=180)
    gateway, provider, carrier = free_ports(3)
    payments, parcels = f"127.0.0.1:{provider}", f"127.0.0.1:{carrier}"
    ports = ["--port", str(provider), "--carrier-port", str(carrier)]
    local = [*FAASIGHT, "local", "start", str(SHOP / "template.yaml"), "--port", str(gateway)]
    local += ["--collector", f"http://{addresses['FAASIGHT_COLLECTOR_HTTP']}"]
    local += ["--parameter", f"PaymentProviderUrl=http://{payments}", "--parameter", f"CarrierUrl=http://{parcels}"]
    load = [sys.executable, "-u", str(SHOP / "load.py"), "--gateway", f"http://127.0.0.1:{gateway}"]
    load += ["--seconds", "900", "--rate", "1"]
    with ExitStack() as stack:
        for part in ("collector", "dashboards", "alerts"):
            one = Service(tmp_path, part, [*FAASIGHT, part], environ | addresses, "FaaSight is running")
            stack.callback(one.stop)
        one = Service(
            tmp_path, "providers", [sys.executable, "-u", str(SHOP / "provider.py"), *ports], environ, "/labels on"
        )
        stack.callback(one.stop)
        one = Service(tmp_path, "functions", local, environ, f"{gateway}")
        stack.callback(one.stop)
        customers = subprocess.Popen(load, env=environ, cwd=tmp_path)
        stack.callback(_end, customers)
        yield addresses


def _end(customers: "subprocess.Popen[bytes]") -> None:
    customers.terminate()
    assert customers.wait(180) == 0


def test_each_service_does_its_part(services: dict[str, str], chromium: Browser) -> None:
    with Store.open(services["FAASIGHT_STORE"]) as store:
        now = datetime.now(UTC)
        scope = Scope(now - timedelta(minutes=15), now + timedelta(minutes=15))

        def crossed() -> bool:
            seen = traces.find(store, scope, function="stock")
            return any({"checkout", "payment", "stock"} <= set(row.services) for row in seen)

        wait_until(crossed, "a trace crosses two queues", 600)
        known = {"checkout", "payment", "stock", "catalog"}
        wait_until(
            lambda: known <= {row.function for row in functions.functions(store, scope)}, "all have been counted"
        )
        wanted = {
            ("api:shop-api", "function:checkout"),
            ("function:checkout", "queue:order-queue"),
            ("queue:order-queue", "function:payment"),
            ("function:checkout", "table:orders"),
        }

        def drawn() -> bool:
            return wanted <= {(edge.source, edge.target) for edge in invocation_map(store, scope).edges}

        wait_until(drawn, "the map has the way of an order")
    with visit(chromium, f"http://{services['FAASIGHT_DASHBOARDS']}") as tab:
        text = tab.open("/functions/checkout").locator("#page").inner_text()
        assert "Latency distribution" in text
        assert tab.faults == []
