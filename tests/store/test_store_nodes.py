"""Two nodes: segments go to shards over the native protocol, queries merge both, and one of them is killed."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from clickhouse_node import Node
from faasight_collector import Collector, Settings
from faasight_store import Scope, Store, StoreUnavailableError, cluster, lifetime, rollup
from faasight_store.lifetime import Lifetime
from faasight_store.queries import functions
from node_cluster import CLUSTER, nodes
from otlp import Run, records, span, traces
from polling import wait_until

# Two engines and all views: a machine that does ten things beside it takes minutes.
pytestmark = pytest.mark.timeout(900)
PATIENCE_S = 280
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
SCOPE = Scope(HOUR, HOUR + timedelta(hours=1))
SEGMENTS = ["c", "d", "e"]  # of both shards
EACH = 5


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Node], str]]:
    """Run two nodes behind one address."""
    with nodes(tmp_path_factory.mktemp("nodes"), 2) as running:
        yield running


@pytest.fixture(scope="module")
def spread(both: tuple[list[Node], str]) -> Iterator[Store]:
    """Return a migrated database over both."""
    with Store.open(f"clickhouse://{both[1]}/faasight") as store:
        store.migrate(CLUSTER)
        yield store


def _land(store: Store, token: str) -> None:
    start = int(HOUR.timestamp()) * 10**9
    runs = [Run(start + n * 10**9, request_id=f"{token}-{n}") for n in range(EACH)]
    store.land("records", records(*(run.record("report") for run in runs)), token)


def _rows(node: Node, table: str = "invocation_facts") -> int:
    """Return how many rows lie on a node itself."""
    with Store.open(f"clickhouse://{node.address}/faasight_data") as store:
        return int(store.query(f"SELECT count() FROM {table}")[0][0])


def _counted(store: Store) -> int:
    return sum(row.totals.invocations for row in functions.functions(store, SCOPE))


def test_segments_lie_on_the_shard_of_their_token_and_come_again_by_any_node(
    spread: Store, both: tuple[list[Node], str]
) -> None:
    members, _ = both
    for token in SEGMENTS:
        _land(spread, token)
    with Store.open(f"clickhouse://{members[1].address}/faasight") as by_the_other:
        for token in SEGMENTS:
            _land(by_the_other, token)
        assert _counted(by_the_other) == EACH * len(SEGMENTS)
    shards = [cluster.shard_of(token, 2) for token in SEGMENTS]
    assert [_rows(node) for node in members] == [EACH * shards.count(number) for number in (1, 2)]
    assert set(shards) == {1, 2}
    assert _counted(spread) == EACH * len(SEGMENTS)


def test_an_hour_is_settled_and_a_day_is_dropped_on_both(spread: Store, both: tuple[list[Node], str]) -> None:
    members, _ = both
    for token in SEGMENTS:
        _land(spread, token)
    assert rollup.settle(spread) > 0
    assert _counted(spread) == EACH * len(SEGMENTS)
    keep = dict.fromkeys(lifetime.DEFAULT_DAYS, 3650) | {"invocations": 1}
    dropped = lifetime.enforce(spread, Lifetime(keep), HOUR + timedelta(days=3))
    assert {one.table: one.rows for one in dropped}["invocation_facts"] == EACH * len(SEGMENTS)
    assert [_rows(node) for node in members] == [0, 0]


def _send(address: str, count: int) -> int:
    """Send requests of one span each, and return how many were answered 200."""
    start = time.time_ns()
    with requests.Session() as session:
        for _ in range(count):
            body = traces([span("work", start, 1.0)]).SerializeToString()
            headers = {"content-type": "application/x-protobuf"}
            assert session.post(f"http://{address}/v1/traces", body, headers=headers, timeout=60).status_code == 200
    return count


def test_while_a_shard_is_away_its_segments_wait_and_are_stored_once_when_it_is_back(
    spread: Store, both: tuple[list[Node], str], tmp_path: Path
) -> None:
    """The collector goes on answering 200, and queries say that the store did not answer."""
    members, _ = both
    ids = "SELECT count(), uniqExact(span_id) FROM spans"
    settings = Settings(
        journal_dir=tmp_path,
        http_port=0,
        grpc_port=None,
        segment_bytes=2_000,
        segment_age_s=0.05,
        segment_age_max_s=0.2,
    )
    collector = Collector(settings, spread)
    collector.start()
    try:
        sent = _send(collector.http_address, 20)
        wait_until(lambda: spread.query(ids) == [(sent, sent)], "the store has what was sent", PATIENCE_S)
        members[1].kill()
        sent += _send(collector.http_address, 40)
        metrics = f"http://{collector.http_address}/metrics"
        failed = re.compile(r'insert_failures_total\{signal="traces"\} [1-9]')
        wait_until(lambda: failed.search(requests.get(metrics, timeout=60).text), "an insert fails", PATIENCE_S)
        with pytest.raises(StoreUnavailableError, match="The store did not answer the query"):
            spread.query(ids)
        members[1].start()
        wait_until(lambda: spread.query(ids) == [(sent, sent)], "the store has all that was sent", PATIENCE_S)
    finally:
        collector.stop()
    assert sum(_rows(node, "spans") for node in members) == sent
    assert not list((tmp_path / "dead-letters").glob("*"))
