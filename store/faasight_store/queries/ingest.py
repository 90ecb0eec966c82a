"""What the collectors say of themselves."""

from collections.abc import Sequence

from faasight_store.connection import Store
from faasight_store.types import IngestStats, Scope, TelemetryHealth


def report(store: Store, rows: Sequence[IngestStats]) -> None:
    """Store what a collector counted."""
    raise NotImplementedError


def health(store: Store, scope: Scope) -> TelemetryHealth:
    """Return how well telemetry arrives."""
    raise NotImplementedError
