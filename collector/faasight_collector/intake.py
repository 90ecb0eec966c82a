"""The way in that HTTP and gRPC share: count, journal, and answer when it is safe."""

import hashlib
from collections.abc import Callable

from faasight_collector.dead_letters import DeadLetters
from faasight_collector.errors import Refusal, overloaded
from faasight_collector.journal import Journal
from faasight_collector.parts import Part
from faasight_collector.stats import Stats


class Intake:
    """Takes admitted payloads into the journal, and what cannot be read to the dead letters."""

    def __init__(self, journal: Journal, stats: Stats, dead_letters: DeadLetters) -> None:
        self._journal = journal
        self._stats = stats
        self._dead_letters = dead_letters

    def accept(
        self, signal: str, payload: bytes, done: Callable[[Refusal | None], None], key: bytes | None = None
    ) -> None:
        """Make a payload safe and call `done(None)`, or `done(refusal)`, at once or later; nothing is safe already.

        What was accepted lately under the same key (without one: with the same bytes) is not stored again.
        """
        if not payload:
            self._stats.accepted(signal, 0)
            done(None)
            return

        try:
            self._journal.append(signal, payload, done, key)  # it counts what becomes of it
        except Refusal as refusal:
            self._stats.rejected(signal, refusal.reason)
            done(refusal.with_traceback(None))  # its frames hold the payload, in a circle with who waits

    def bury(self, part: Part) -> None:
        """Keep what cannot be read, with its reason; the same key again changes nothing. Blocks for the disk.

        Raises Refusal when there is no room.
        """
        refusal = self._journal.refusal()
        if refusal is not None:
            raise refusal
        name = hashlib.sha256(part.key or part.payload).hexdigest()[:32]
        try:
            new = self._dead_letters.keep(part.signal, f"input-{name}", part.payload, part.reason)
        except OSError as error:
            raise overloaded("disk_error", f"a dead letter cannot be written: {error}") from error
        if new:
            self._stats.dead_letter(part.signal)
        self._journal.inventory.count_dead_letters(self._dead_letters.bytes)

    def refused(self, signal: str, refusal: Refusal) -> None:
        """Count a request that did not get as far."""
        self._stats.rejected(signal, refusal.reason)
