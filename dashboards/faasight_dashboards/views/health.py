"""How well a function does, in one word and with the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

from faasight_store.types import FunctionRow, Totals

from faasight_dashboards import format as fmt

FAILING = 0.05  # share of failed invocations
DEGRADED = 0.01
NEAR_LIMIT = 0.9  # of the memory or time given

WORDS = {"ok": "Healthy", "warn": "Degraded", "error": "Failing"}
RANK = {"error": 0, "warn": 1, "ok": 2}


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict: `status` is ok, warn or error."""

    status: str
    reasons: Sequence[str] = ()

    @property
    def word(self) -> str:
        """The verdict for people."""
        return WORDS[self.status]


def share(part: int, totals: Totals) -> float | None:
    """Return a part of the invocations as 0 to 1, None where there were none."""
    return part / totals.invocations if totals.invocations else None


def error_share(row: FunctionRow) -> float:
    """Return the share of a function's invocations that failed."""
    return share(row.totals.errors, row.totals) or 0.0


def headroom(used: float | None, given: float | None) -> float | None:
    """Return how much of a limit is left, 0 to 1; None if either is unknown."""
    return None if used is None or not given else max(0.0, 1 - used / given)


def health(row: FunctionRow) -> Health:
    """Judge a function by its errors, throttles, time-outs and limits."""
    failed = error_share(row)
    reasons = [text for is_so, text in _complaints(row, failed) if is_so]
    if failed >= FAILING:
        return Health("error", reasons)
    return Health("warn" if reasons else "ok", reasons)


def _complaints(row: FunctionRow, failed: float) -> list[tuple[bool, str]]:
    totals = row.totals
    memory, time = headroom(row.memory_used_mb, row.memory_mb), headroom(row.max_ms, row.timeout_ms)
    return [
        (failed >= DEGRADED, f"{fmt.percent(failed)} of invocations fail"),
        (totals.throttles > 0, f"{totals.throttles:,} throttled"),
        (totals.timeouts > 0, f"{totals.timeouts:,} timed out"),
        (memory is not None and memory < 1 - NEAR_LIMIT, f"memory {fmt.percent(1 - (memory or 0), 0)} used"),
        (
            not totals.timeouts and time is not None and time < 1 - NEAR_LIMIT,
            f"longest took {fmt.percent(1 - (time or 0), 0)} of the time-out",
        ),
    ]
