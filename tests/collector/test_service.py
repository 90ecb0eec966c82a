"""The collector as a whole: how it starts, stops, and what it says of itself."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import requests
from faasight_collector import AddressError, Collector, CollectorError, JournalLockedError, Settings
from faasight_store import Store, StoreUnavailableError
from faasight_store.queries import ingest
from faasight_store.types import Scope

from tests.collector.conftest import StoreAway

StartCollector = Callable[..., Collector]
MakeTraces = Callable[..., bytes]
Eventually = Callable[[Callable[[], object]], None]


def start(settings: Settings) -> Collector:
    collector = Collector(settings, cast(Store, StoreAway()))
    collector.start()
    return collector


@pytest.mark.parametrize(("door", "protocol"), [("http_port", "HTTP"), ("grpc_port", "gRPC")])
def test_a_port_in_use_is_one_clear_sentence(settings: Settings, door: str, protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressError, match=rf"cannot listen for OTLP/{protocol} on port {port}.*choose another"):
            start(replace(settings, **{door: port}))
    collector = start(replace(settings, **{door: port}))  # nothing is left of the failed start
    collector.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_it_does_not_listen_beyond_this_machine(settings: Settings, host: str) -> None:
    with pytest.raises(AddressError, match="other machines"):
        start(replace(settings, host=host))
    assert not settings.journal_dir.exists()


def test_it_listens_everywhere_when_told_so(settings: Settings) -> None:
    collector = start(replace(settings, host="0.0.0.0", allow_remote=True))
    port = collector.http_address.rpartition(":")[2]
    assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=180).ok
    collector.stop()


def test_a_journal_in_use_is_one_clear_sentence(collector: Collector, settings: Settings) -> None:
    with pytest.raises(JournalLockedError, match="in use by another collector"):
        start(settings)
    assert requests.get(f"http://{collector.http_address}/healthz", timeout=180).ok


def test_every_error_of_start_is_a_collector_error() -> None:
    """The command shows these as one sentence, without a traceback."""
    assert issubclass(AddressError, CollectorError)
    assert issubclass(JournalLockedError, CollectorError)


def test_it_may_do_without_grpc(start_collector: StartCollector) -> None:
    collector = start_collector(grpc_port=None)
    assert collector.grpc_address == ""
    assert requests.get(f"http://{collector.http_address}/healthz", timeout=180).ok


def test_stop_may_come_twice_or_without_a_start(settings: Settings) -> None:
    collector = start(settings)
    collector.stop()
    collector.stop()
    Collector(settings, cast(Store, StoreAway())).stop()


def test_after_stop_the_ports_and_the_journal_are_free(settings: Settings) -> None:
    first = start(settings)
    ports = {
        "http_port": int(first.http_address.rpartition(":")[2]),
        "grpc_port": int(first.grpc_address.rpartition(":")[2]),
    }
    first.stop()
    second = start(replace(settings, **ports))
    second.stop()


def test_stop_does_not_wait_for_clients_that_say_nothing(settings: Settings, make_traces: MakeTraces) -> None:
    """An idle connection and a half-sent request do not hold it up, and what was answered is kept."""
    collector = start(replace(settings, stop_timeout_s=1.0))
    host, _, port = collector.http_address.rpartition(":")
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /v1/traces HTTP/1.1\r\ncontent-length: 100\r\n\r\nabc")
        headers = {"content-type": "application/x-protobuf"}
        assert requests.post(f"http://{host}:{port}/v1/traces", make_traces(), headers=headers, timeout=180).ok
        collector.stop()
        assert half.recv(100) == b""
    assert list((settings.journal_dir / "traces").glob("*.sealed"))


def test_its_own_counters_arrive_in_the_store(
    shared_store: Store, start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually
) -> None:
    count = "SELECT sum(accepted), sum(rejected), sum(shipped), sum(reasons['corrupt_protobuf']) FROM ingest_stats"
    before = shared_store.query(count)[0]
    began = datetime.now(UTC).replace(microsecond=0)
    collector = start_collector(shared_store, report_every_s=0.1)
    url, headers = f"http://{collector.http_address}/v1/traces", {"content-type": "application/x-protobuf"}
    for _ in range(3):
        requests.post(url, make_traces(), headers=headers, timeout=180)
    requests.post(url, b"\xff", headers=headers, timeout=180)

    def difference() -> tuple[int, ...]:
        return tuple(int(new - old) for new, old in zip(shared_store.query(count)[0], before, strict=True))

    eventually(lambda: difference() == (3, 1, 3, 1))
    eventually(lambda: collector.journal.inventory.usage().pending == 0)
    now = datetime.now(UTC)
    health = ingest.health(shared_store, Scope(began, now + timedelta(minutes=1)))
    assert health.lag_max_s is not None
    assert 0 < health.lag_max_s <= (now - began).total_seconds()


class Forgetful:
    """A store that takes segments, and whose first answers to reports are lost."""

    def __init__(self) -> None:
        self.reports: list[list[list[Any]]] = []

    def land(self, *_: object) -> None:
        """Take a segment."""

    def insert(self, table: str, columns: Sequence[str], rows: list[list[Any]]) -> None:
        """Take a report, and fail twice after that."""
        if table == "ingest_stats":
            self.reports.append([list(row[: columns.index("accepted") + 1]) for row in rows])
            if len(self.reports) <= 2:
                raise StoreUnavailableError("the answer is lost")

    def query(self, *_: object) -> list[Any]:
        """Know nothing."""
        return []

    command = query


def test_a_report_that_failed_is_told_again_as_it_was(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually
) -> None:
    """Else what was accepted while the store was away would be missing from its statistics for good."""
    store = Forgetful()
    collector = start_collector(store, report_every_s=0.05)
    headers = {"content-type": "application/x-protobuf"}
    assert requests.post(f"http://{collector.http_address}/v1/traces", make_traces(), headers=headers, timeout=180).ok
    eventually(lambda: len(store.reports) >= 3)
    first, second, third = store.reports[:3]
    assert first == second == third, "the same rows, so that the store knows them again"
    collector.stop()
    told = [row[-1] for report in store.reports[2:] for row in report]
    assert sum(told) == 1
