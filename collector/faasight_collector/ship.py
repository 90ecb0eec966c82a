"""Carries journal segments to the store, each exactly once: the segment's id is its deduplication token."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from faasight_store import BadDataError, StoreError

from faasight_collector.dead_letters import DeadLetters
from faasight_collector.journal import Journal
from faasight_collector.segments import SIGNALS, Damage, Record, Segment, join, scan
from faasight_collector.stats import Stats

log = structlog.get_logger()

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 15.0


class Target(Protocol):
    """What is shipped to; `faasight_store.Store` is one."""

    def land(self, signal: str, segment: bytes, token: str) -> None:
        """Store a segment exactly once for its token. Raises StoreUnavailableError or BadDataError."""


class Shipper:
    """A thread that ships every sealed segment, oldest first."""

    def __init__(
        self,
        journal: Journal,
        target: Target,
        dead_letters: DeadLetters,
        stats: Stats,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._target = target
        self._dead_letters = dead_letters
        self._stats = stats
        self._clock = clock
        self._stop = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name="faasight-ship", daemon=True)
        self.failing_since: float | None = None  # Unix seconds; None while the store takes what it gets
        self.last_error = ""

    def start(self) -> None:
        """Begin to ship."""
        self._journal.count_dead_letters(self._dead_letters.bytes)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ship what is sealed for as long as that, and stop; the rest stays in the journal."""
        self._deadline = time.monotonic() + timeout_s
        self._stop.set()
        self._journal.sealed_some.set()
        self._thread.join(timeout_s)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not (self._stop.is_set() and (self.failing_since is not None or time.monotonic() > self._deadline)):
            self._journal.sealed_some.clear()
            try:
                shipped = self._round()
            except Exception as error:  # noqa: BLE001  # whatever it is, the segment stays, and is tried again
                self._failed(error)
                self._stop.wait(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                continue
            wait_s, self.failing_since, self.last_error = _FIRST_WAIT_S, None, ""
            if shipped:
                continue
            if self._stop.is_set():
                return
            self._journal.sealed_some.wait()

    def _round(self) -> int:
        """Ship one segment of each signal that has one; return how many."""
        shipped = 0
        for signal in SIGNALS:
            segment = self._journal.next_segment(signal)
            if segment is not None:
                self.ship(segment)
                shipped += 1
        return shipped

    def _failed(self, error: Exception) -> None:
        if self.failing_since is None:
            self.failing_since = self._clock()
            known = isinstance(error, StoreError)
            log.warning(
                "the store takes no segments; trying again", error=str(error), exc_info=None if known else error
            )
        self.last_error = str(error)

    def ship(self, segment: Segment) -> None:
        """Bring one segment to the store, or its bad records to the dead letters. Raises StoreUnavailableError."""
        records = self._read(segment)
        if records:
            segment = self._land(segment, records)
        self._journal.mark_shipped(segment)
        self._stats.shipped(segment.signal, len(records))

    def _read(self, segment: Segment) -> list[Record]:
        records: list[Record] = []
        for item in scan(segment.path.read_bytes()):
            if isinstance(item, Damage):
                self._bury(segment, f"{segment.id}-at-{item.offset}", item.data, f"journal damage: {item.reason}")
            else:
                records.append(item)
        return records

    def _land(self, segment: Segment, records: Sequence[Record]) -> Segment:
        """Store all records that the store takes; return the segment as it is called then."""
        if not segment.split:
            try:
                self._target.land(segment.signal, join(segment.signal, records), segment.id)
            except BadDataError as error:
                log.warning("the store refused a segment; storing it in parts", segment=segment.id, error=str(error))
                segment = self._journal.mark_split(segment)
            else:
                return segment
        self._land_parts(segment, records, 0, len(records))
        return segment

    def _land_parts(self, segment: Segment, records: Sequence[Record], start: int, end: int) -> None:
        """Store records [start, end) in halves until the bad ones stand alone. Tokens follow from the positions."""
        if end - start > 1:
            middle = (start + end) // 2
            for low, high in ((start, middle), (middle, end)):
                self._land_part(segment, records, low, high)
        else:
            self._land_part(segment, records, start, end)

    def _land_part(self, segment: Segment, records: Sequence[Record], start: int, end: int) -> None:
        try:
            self._target.land(segment.signal, join(segment.signal, records[start:end]), f"{segment.id}/{start}-{end}")
        except BadDataError as error:
            if end - start > 1:
                self._land_parts(segment, records, start, end)
            else:
                self._bury(segment, f"{segment.id}-{start}", records[start].payload, str(error))

    def _bury(self, segment: Segment, name: str, payload: memoryview, reason: str) -> None:
        self._dead_letters.keep(segment.signal, name, payload, reason)
        self._stats.dead_letter(segment.signal)
        self._journal.count_dead_letters(self._dead_letters.bytes)
