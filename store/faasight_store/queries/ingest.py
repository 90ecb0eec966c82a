"""What the collectors say of themselves."""

from collections.abc import Sequence

from faasight_store.connection import Store
from faasight_store.queries import invocations
from faasight_store.times import MINUTE, to_ns, within
from faasight_store.types import IngestStats, Scope, TelemetryHealth

_COLUMNS = (
    "ts", "collector", "signal", "accepted", "rejected", "bytes", "shipped", "dead_letters", "journal_bytes",
    "ship_lag_s", "reasons",
)  # fmt: skip


def report(store: Store, rows: Sequence[IngestStats]) -> None:
    """Store what a collector counted; the very same rows again, after an answer that was lost, are stored once."""
    store.insert("ingest_stats", _COLUMNS, [[getattr(row, name) for name in _COLUMNS] for row in rows])


def health(store: Store, scope: Scope) -> TelemetryHealth:
    """Return how well telemetry arrives."""
    parameters = {"start": to_ns(scope.start), "end": to_ns(scope.end)}
    accepted, rejected, dead, size, reports, p50, longest, reasons = store.query(
        f"""SELECT sum(accepted), sum(rejected), sum(dead_letters), sum(bytes), countIf(shipped > 0),
            quantileExactIf(0.5)(ship_lag_s, shipped > 0), maxIf(ship_lag_s, shipped > 0), sumMap(reasons)
        FROM ingest_stats WHERE {within("ts", "start", "end")}""",
        parameters,
    )[0]
    return TelemetryHealth(
        accepted=accepted,
        rejected=rejected,
        dead_letters=dead,
        bytes=size,
        lag_p50_s=p50 if reports else None,
        lag_max_s=longest if reports else None,
        journal_bytes=_journal_bytes(store, parameters["end"]),
        last_received=invocations.last_event(store),
        reasons=reasons,
    )


def _journal_bytes(store: Store, end: int) -> int:
    """Return what lies in the journals by the collectors' newest reports; one that has been silent for long is gone."""
    return int(
        store.query(
            f"""SELECT sum(newest) FROM (SELECT argMax(journal_bytes, ts) AS newest FROM ingest_stats
            WHERE {within("ts", "start", "end")}
            GROUP BY collector, signal)""",
            {"start": end - 10 * MINUTE, "end": end},
        )[0][0]
    )
