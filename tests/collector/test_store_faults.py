"""The store is away, slow, breaks off or answers too late: what was acknowledged is stored, once in every table."""

import secrets
import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from faasight_collector import Collector
from faasight_store import Store
from fault_proxy import FAULTS, FaultProxy, running_proxy

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]

SPANS = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String} ORDER BY 1"
# A view over a view, summed: counted twice if a repeated insert were let through there.
INDEX = """SELECT sum(spans) FROM trace_index
WHERE trace_id IN (SELECT trace_id FROM spans WHERE name = {name:String})"""
SENDERS, REQUESTS = 4, 10
QUIET = {"report_every_s": 3600, "settle_every_s": 3600}  # every insert is a segment


@pytest.fixture(scope="module")
def database(shared_server: str) -> Iterator[Store]:
    """Return a migrated database, without the proxy."""
    with Store.open(shared_server) as store:
        yield store


@pytest.fixture
def proxy(clickhouse_port: int) -> Iterator[FaultProxy]:
    """Run the proxy."""
    with running_proxy(clickhouse_port) as running:
        yield running


@pytest.fixture
def broken_store(database: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return the same database, by way of the proxy, with less patience than an insert may need at times."""
    monkeypatch.setattr("faasight_store.clients.ANSWER_TIMEOUT_S", 8)
    with Store.open(f"clickhouse://127.0.0.1:{proxy.port}/shared") as store:
        yield store


def send(url: str, bodies: list[bytes]) -> None:
    """Send each until it is acknowledged."""
    with requests.Session() as session:
        for body in bodies:
            headers = {"content-type": "application/x-protobuf"}
            assert session.post(f"{url}/v1/traces", body, headers=headers, timeout=180).status_code == 200


def send_all(collector: Collector, bodies: list[bytes]) -> None:
    url = f"http://{collector.http_address}"
    senders = [threading.Thread(target=send, args=(url, bodies[n::SENDERS])) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(180)


def check(database: Store, name: str, ids: list[bytes]) -> None:
    assert [row[0] for row in database.query(SPANS, {"name": name})] == sorted(span_id.hex() for span_id in ids)
    assert database.query(INDEX, {"name": name}) == [(len(ids),)]


@pytest.mark.parametrize("fault", FAULTS)
def test_acknowledged_is_stored_once_whatever_the_store_does(
    fault: str,
    database: Store,
    broken_store: Store,
    proxy: FaultProxy,
    start_collector: StartCollector,
    make_traces: MakeTraces,
    eventually: Eventually,
) -> None:
    name, ids = secrets.token_hex(8), [secrets.token_bytes(8) for _ in range(SENDERS * REQUESTS)]
    times = 1 if fault in {"slow", "late"} else 2
    proxy.order(*[fault] * times)
    collector = start_collector(broken_store, segment_age_s=0.3, segment_age_max_s=0.5, **QUIET)
    send_all(collector, [make_traces(name=name, ids=[span_id]) for span_id in ids])
    collector.journal.seal_all()
    eventually(lambda: proxy.met[fault] == times and collector.journal.inventory.usage().pending == 0)
    check(database, name, ids)


def test_faults_of_every_kind_and_a_restart_in_between(
    database: Store,
    broken_store: Store,
    proxy: FaultProxy,
    start_collector: StartCollector,
    make_traces: MakeTraces,
    eventually: Eventually,
) -> None:
    """What was done without an answer, and left behind by a stop, is told again by the next process."""
    name, ids = secrets.token_hex(8), [secrets.token_bytes(8) for _ in range(30)]
    proxy.always("lost_answer")
    first = start_collector(broken_store, **QUIET, stop_timeout_s=10)
    send_all(first, [make_traces(name=name, ids=[span_id]) for span_id in ids])
    first.journal.seal_all()
    eventually(lambda: proxy.met["lost_answer"] > 1)
    first.stop()
    assert list((first.settings.journal_dir / "traces").glob("*.sealed")), "nothing was left: the test shows nothing"
    proxy.always("")
    proxy.order("error", "cut_answer", "gateway", "lost_answer")
    second = start_collector(broken_store, **QUIET)
    eventually(lambda: second.journal.inventory.usage().pending == 0)
    check(database, name, ids)
