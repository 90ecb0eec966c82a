"""Carries journal segments to the store, each exactly once: the segment's id is its deduplication token."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog
from faasight_store import BadDataError
from opentelemetry.trace import Tracer

from faasight_collector import observe
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.inserts import Target
from faasight_collector.journal import Journal
from faasight_collector.lane import Lane
from faasight_collector.preview import without_secrets
from faasight_collector.rows import Rows
from faasight_collector.segments import SIGNALS, Damage, Record, Segment, contents, scan
from faasight_collector.stats import Stats

log = structlog.get_logger()


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
        tracer: Tracer | None = None,
    ) -> None:
        self._journal = journal
        self._target = target
        self._dead_letters = dead_letters
        self._stats = stats
        self._clock = clock
        self._tracer = tracer or observe.tracer()
        self._stop = threading.Event()
        self._deadline = 0.0
        self._lanes = [Lane(signal) for signal in SIGNALS]
        self._thread = threading.Thread(target=self._run, name="faasight-ship", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._journal.inventory.count_dead_letters(self._dead_letters.bytes)
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ship what is sealed for as long as that, and stop; the rest stays in the journal.

        Returns False if the store still holds the thread up.
        """
        self._deadline = time.monotonic() + timeout_s
        self._stop.set()
        self._journal.sealed_some.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def error(self) -> str:
        """Why the store does not take segments just now; "" if it does."""
        return next((lane.trouble() for lane in self._lanes if lane.trouble()), "")

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._journal.sealed_some.clear()
            stopping = self._stop.is_set()
            now = time.monotonic()
            if stopping and now > self._deadline:
                return
            shipped = [self._try(lane) for lane in self._lanes if stopping or now >= lane.not_before]
            if any(shipped):
                continue
            if stopping:
                return
            waits = [due - now for lane in self._lanes if (due := lane.due()) is not None]
            self._journal.sealed_some.wait(max(0.0, min(waits)) if waits else None)

    def _try(self, lane: Lane) -> bool:
        """Ship the oldest segment of one signal, if there is one; a failure makes this signal wait, and no other."""
        resting = lane.resting(time.monotonic())
        segment = self._journal.inventory.next_segment(lane.signal, replays=not self._stop.is_set(), but=resting)
        if segment is None:
            return False
        try:
            self.ship(segment)
        except Exception as error:  # noqa: BLE001  # whatever it is, the segment stays, and is tried again
            aside = lane.failed(segment, error)
            if aside:
                self._journal.set_aside(segment)
            return aside
        lane.succeeded(segment)
        return True

    def ship(self, segment: Segment) -> None:
        """Bring one segment to the store, or its bad records to the dead letters. Raises StoreUnavailableError."""
        records = self._read(segment)
        count = len(records)
        with observe.shipping(self._tracer, segment, records):
            began = time.monotonic()
            if records:
                segment = self._land(segment, records)
            took_s = time.monotonic() - began
            self._journal.inventory.mark_shipped(segment)
        self._journal.shipped(segment.signal, took_s)
        if not segment.replay:
            lag_s = max(0.0, self._clock() - segment.created_ms / 1000)
            self._stats.shipped(segment.signal, count, lag_s)

    def _read(self, segment: Segment, *, again: bool = False) -> list[Record]:
        records: list[Record] = []
        for item in scan(contents(segment.path)):
            if not isinstance(item, Damage):
                records.append(item)
            elif not again:
                self._bury(segment, f"{segment.id}-at-{item.offset}", item.data, f"journal damage: {item.reason}")
        return records

    def _land(self, segment: Segment, records: list[Record]) -> Segment:
        """Store all records that the store takes; return the segment as it is called then. `records` is used up."""
        if not segment.split:
            whole = Rows(segment.signal, records)
            records.clear()  # they hold the file's bytes, which are let go of while the store takes them
            try:
                self._target.land(segment.signal, whole, segment.id)
            except BadDataError as error:
                said = without_secrets(str(error))  # an engine quotes what it cannot read
                log.warning("the store refused a segment; storing it in parts", segment=segment.id, error=said)
                segment = self._journal.inventory.mark_split(segment)
                records = self._read(segment, again=True)
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
            self._target.land(segment.signal, Rows(segment.signal, records[start:end]), f"{segment.id}/{start}-{end}")
        except BadDataError as error:
            if end - start > 1:
                self._land_parts(segment, records, start, end)
            else:
                self._bury(segment, f"{segment.id}-{start}", records[start].payload, str(error))

    def _bury(self, segment: Segment, name: str, payload: memoryview, reason: str) -> None:
        if self._dead_letters.keep(segment.signal, name, payload, reason):  # else a replay meets it again
            self._stats.dead_letter(segment.signal)
        self._journal.inventory.count_dead_letters(self._dead_letters.bytes)
