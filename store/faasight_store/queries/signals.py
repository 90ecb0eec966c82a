"""The signals that alert rules measure."""

from collections.abc import Sequence
from datetime import datetime

from faasight_store.connection import Store
from faasight_store.types import Measurement


def measure(
    store: Store, signal: str, start: datetime, end: datetime, group_by: Sequence[str] = ("function",)
) -> list[Measurement]:
    """Return the signal per group over `[start, end)`. Signals: those of `SIGNALS`; groups: function, version, environment, region. Raises ValueError for others."""
    raise NotImplementedError
