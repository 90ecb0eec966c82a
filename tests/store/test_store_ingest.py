"""What the collectors say of themselves."""

from datetime import UTC, datetime, timedelta

from faasight_store import Scope, Store
from faasight_store.queries import ingest
from faasight_store.types import IngestStats


def test_health(store: Store) -> None:
    now = datetime.now(UTC)
    rows = [
        IngestStats(
            "a",
            now - timedelta(seconds=30),
            "traces",
            accepted=5,
            rejected=1,
            bytes=100,
            shipped=5,
            journal_bytes=50,
            ship_lag_s=1.0,
        ),
        IngestStats(
            "a",
            now - timedelta(seconds=20),
            "traces",
            accepted=7,
            bytes=10,
            shipped=7,
            journal_bytes=20,
            ship_lag_s=3.0,
        ),
        IngestStats("a", now - timedelta(seconds=10), "traces", shipped=1, journal_bytes=20, ship_lag_s=0.5),
        IngestStats(
            "b", now - timedelta(seconds=20), "logs", dead_letters=2, journal_bytes=7, reasons={"too large": 2}
        ),
        IngestStats("a", now - timedelta(hours=2), "traces", accepted=1000),
    ]
    ingest.report(store, rows)
    health = ingest.health(store, Scope(now - timedelta(hours=1), now))
    assert (health.accepted, health.rejected, health.dead_letters, health.bytes, health.journal_bytes) == (
        12,
        1,
        2,
        110,
        27,
    )
    assert (health.lag_p50_s, health.lag_max_s) == (1.0, 3.0)
    assert health.reasons == {"too large": 2}
    assert health.last_received is None


def test_the_same_report_again_is_stored_once(store: Store) -> None:
    now = datetime.now(UTC)
    rows = [IngestStats("a", now, signal, accepted=5, reasons={"too large": 1}) for signal in ("traces", "logs")]
    for _ in range(3):
        ingest.report(store, rows)
    assert ingest.health(store, Scope(now - timedelta(hours=1), now + timedelta(hours=1))).accepted == 10


def test_health_of_nothing(store: Store) -> None:
    now = datetime.now(UTC)
    ingest.report(store, [])
    health = ingest.health(store, Scope(now - timedelta(hours=1), now))
    assert (health.accepted, health.lag_p50_s, health.lag_max_s, health.journal_bytes) == (0, None, None, 0)
