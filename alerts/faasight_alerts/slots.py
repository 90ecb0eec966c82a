"""Evaluation slots: fixed instants, so that a window is the same whoever looks at it, and whenever."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from faasight_alerts.rule import Rule

MOST_MISSED_S = 3600  # after a longer stop the oldest slots are skipped


@dataclass(frozen=True, slots=True)
class Progress:
    """The first slot of a rule that was ever evaluated, and the last."""

    begun: int
    done: int


def due(rule: Rule, progress: Progress | None, now: datetime, most_missed_s: int = MOST_MISSED_S) -> range:
    """Return the slots to evaluate, oldest first; `progress` is None at the very first start."""
    newest = int(now.timestamp()) // rule.every_s * rule.every_s
    if progress is None:
        return range(newest, newest + 1)
    oldest = max(progress.done // rule.every_s + 1, (newest - most_missed_s) // rule.every_s) * rule.every_s
    return range(oldest, newest + 1, rule.every_s)


def window(rule: Rule, slot: int) -> tuple[datetime, datetime]:
    """Return `[start, end)` of what a slot looks at: it ends `delay` before the slot, since telemetry comes late."""
    end = instant(slot) - timedelta(seconds=rule.delay_s)
    return end - timedelta(seconds=rule.window_s), end


def instant(slot: int) -> datetime:
    """Return a slot as a time."""
    return datetime.fromtimestamp(slot, UTC)
