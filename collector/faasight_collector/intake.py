"""The way in that HTTP and gRPC share: count, journal, and answer when it is safe."""

from collections.abc import Callable

from faasight_collector.errors import Refusal
from faasight_collector.journal import Journal
from faasight_collector.stats import Stats


class Intake:
    """Takes admitted payloads into the journal."""

    def __init__(self, journal: Journal, stats: Stats) -> None:
        self._journal = journal
        self._stats = stats

    def accept(self, signal: str, payload: bytes, done: Callable[[Refusal | None], None]) -> None:
        """Make a payload safe and call `done(None)`, or `done(refusal)`, at once or later; nothing is safe already."""
        size = len(payload)
        if not size:
            self._stats.accepted(signal, 0)
            done(None)
            return

        def committed(refusal: Refusal | None) -> None:
            if refusal is None:
                self._stats.accepted(signal, size)
            else:
                self._stats.rejected(signal, refusal.reason)
            done(refusal)

        try:
            self._journal.append(signal, payload, committed)
        except Refusal as refusal:
            committed(refusal)

    def refused(self, signal: str, refusal: Refusal) -> None:
        """Count a request that did not get as far."""
        self._stats.rejected(signal, refusal.reason)
