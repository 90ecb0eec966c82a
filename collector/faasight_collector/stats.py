"""What the collector counts of itself."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from faasight_store.types import IngestStats

from faasight_collector.errors import Refusal
from faasight_collector.journal import Journal
from faasight_collector.segments import SIGNALS


@dataclass(slots=True)
class Counts:
    """Sums since the start, of one signal. Accepted and rejected count requests."""

    accepted: int = 0
    bytes: int = 0
    shipped: int = 0  # records (accepted requests) that the store has
    dead_letters: int = 0
    segments: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def minus(self, other: "Counts") -> "Counts":
        """Return what was counted since `other`."""
        return Counts(
            self.accepted - other.accepted,
            self.bytes - other.bytes,
            self.shipped - other.shipped,
            self.dead_letters - other.dead_letters,
            self.segments - other.segments,
            self.rejected - other.rejected,
        )

    def copy(self) -> "Counts":
        """Return the sums as they stand."""
        return Counts(self.accepted, self.bytes, self.shipped, self.dead_letters, self.segments, Counter(self.rejected))


class Stats:
    """Counters of all signals; safe to use from several threads."""

    def __init__(self) -> None:
        self._counts: dict[str, Counts] = {signal: Counts() for signal in (*SIGNALS, "unknown")}
        self._lock = threading.Lock()
        self._reported: dict[str, Counts] = {}
        self._longest_lag_s: dict[str, float] = {}  # since the last report

    def accepted(self, signal: str, size: int) -> None:
        """Count a request that is safe in the journal."""
        with self._lock:
            counts = self._counts[signal]
            counts.accepted += 1
            counts.bytes += size

    def committed(self, signal: str, requests: int, size: int, refusal: Refusal | None) -> None:
        """Count requests of one outcome: safe in the journal, or refused by it."""
        with self._lock:
            counts = self._counts[signal]
            if refusal is None:
                counts.accepted += requests
                counts.bytes += size
            else:
                counts.rejected[refusal.reason] += requests

    def rejected(self, signal: str, reason: str) -> None:
        """Count a request that was refused."""
        with self._lock:
            self._counts[signal].rejected[reason] += 1

    def shipped(self, signal: str, records: int, lag_s: float) -> None:
        """Count a segment that the store has; `lag_s` is the time since its first record came."""
        with self._lock:
            self._longest_lag_s[signal] = max(lag_s, self._longest_lag_s.get(signal, 0.0))
            self._counts[signal].shipped += records
            self._counts[signal].segments += 1

    def dead_letter(self, signal: str) -> None:
        """Count a record that the store will never take."""
        with self._lock:
            self._counts[signal].dead_letters += 1

    def snapshot(self) -> dict[str, Counts]:
        """Return all sums since the start, by signal."""
        with self._lock:
            return {signal: counts.copy() for signal, counts in self._counts.items()}

    def rows(self, collector: str, now: float, journal: Journal) -> list[IngestStats]:
        """Return what happened since the rows before, one row a signal that has news; `now` in Unix seconds."""
        current = self.snapshot()
        before, self._reported = self._reported, current
        with self._lock:
            lags, self._longest_lag_s = self._longest_lag_s, {}
        found = []
        for signal, total in current.items():
            new = total.minus(before.get(signal, Counts()))
            lag_s = max(lag(journal, signal, now), lags.get(signal, 0.0))
            if new != Counts() or lag_s:
                found.append(
                    IngestStats(
                        collector=collector,
                        ts=datetime.fromtimestamp(now, UTC),
                        signal=signal,
                        accepted=new.accepted,
                        rejected=new.rejected.total(),
                        bytes=new.bytes,
                        shipped=new.shipped,
                        dead_letters=new.dead_letters,
                        journal_bytes=journal.pending_bytes(signal),
                        ship_lag_s=lag_s,
                        reasons=dict(new.rejected),
                    )
                )
        return found


def lag(journal: Journal, signal: str, now: float) -> float:
    """Return the age in seconds of the oldest record that the store does not have yet; 0 if there is none."""
    oldest = journal.oldest_ms(signal)
    return max(0.0, now - oldest / 1000) if oldest is not None else 0.0
