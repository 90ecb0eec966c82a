"""The journal's complete segments, by what is still to be done with them, and the room that all takes on the disk."""

import contextlib
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import structlog

from faasight_collector.errors import Refusal, overloaded
from faasight_collector.segments import SIGNALS, Segment
from faasight_collector.settings import Settings
from faasight_collector.writer import sync_directory

log = structlog.get_logger()

DISK_CHECK_S = 1.0
ORDINARY = 64 * 1024  # bytes of a request, for the question whether there is room


@dataclass(slots=True)
class Usage:
    """What the journal holds on disk, in bytes."""

    pending: int = 0  # accepted and not yet in the store
    kept: int = 0  # in the store already
    dead_letters: int = 0  # refused by the store for good


class Inventory:
    """Segments that wait for the store, that are to be shipped again, or that are kept for a while; safe for threads.

    `clock` gives Unix seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._usage = Usage()
        self._waiting: dict[str, deque[Segment]] = {signal: deque() for signal in SIGNALS}
        self._replays: dict[str, deque[Segment]] = {signal: deque() for signal in SIGNALS}
        self._aside: set[str] = set()  # ids of waiting segments that let others pass
        self._kept: deque[tuple[float, Segment]] = deque()  # (shipped at, segment), oldest first
        self._disk_free = 1 << 62
        self._checked_disk = 0.0

    # -- segments -----------------------------------------------------------------------------------------------------

    def add(self, segment: Segment) -> None:
        """Take in a segment that another process left."""
        with self._lock:
            self._line_of(segment).append(segment)
            self._count(segment, 1)

    def add_sealed(self, segment: Segment) -> None:
        """Take in a segment of this process, whose bytes `wrote` has counted."""
        with self._lock:
            self._waiting[segment.signal].append(segment)

    def next_segment(self, signal: str, *, replays: bool = True, but: Collection[str] = frozenset()) -> Segment | None:
        """Return the oldest segment of a signal that is not shipped yet, else one to ship again, or None.

        What the store most likely has already waits, so that pages show fresh data soon after a restart. Segments whose
        ids are in `but` are passed over.
        """
        with self._lock:
            for line in (self._waiting[signal], self._replays[signal] if replays else ()):
                for segment in line:
                    if segment.id not in but:
                        return segment
            return None

    def mark_split(self, segment: Segment) -> Segment:
        """Remember on disk that a segment is stored in parts, before the first part is: a replay must do the same."""
        path = segment.path.with_name(f"{segment.id}.split{'.done' if segment.replay else ''}")
        segment.path.rename(path)
        marked = replace(segment, path=path, split=True)
        with self._lock:  # before anything else can fail: the file has its new name already
            line = self._line_of(segment)
            line[line.index(segment)] = marked
        sync_directory(path.parent)
        return marked

    def mark_shipped(self, segment: Segment) -> None:
        """Keep a stored segment for a while more; a crash of the engine's machine may need it again."""
        path = segment.path if segment.replay else segment.path.with_name(segment.path.name + ".done")
        now = self._clock()
        # A replay keeps the time of its first shipping: restarts in a row must not carry it past the store's
        # deduplication window.
        shipped_ns = segment.shipped_ns or int(now * 1e9)
        os.utime(segment.path, ns=(shipped_ns, shipped_ns))  # before the rename, after which nothing may fail
        segment.path.rename(path)
        with self._lock:
            self._line_of(segment).remove(segment)
            self._aside.discard(segment.id)
            self._count(segment, -1)
            self._usage.kept += segment.bytes
            self._kept.append((now, replace(segment, path=path)))
        self.drop_kept()

    def set_aside(self, segment: Segment) -> None:
        """Let others pass a segment until it is stored."""
        with self._lock:
            self._aside.add(segment.id)

    def holds_up(self, signal: str) -> bool:
        """Tell whether a segment of a signal waits for the store that others do not pass."""
        with self._lock:
            return any(segment.id not in self._aside for segment in self._waiting.get(signal, ()))

    def oldest_ms(self, signal: str) -> int | None:
        """Return when the oldest record that waits for the store was written (Unix ms), or None."""
        with self._lock:
            return self._waiting[signal][0].created_ms if self._waiting.get(signal) else None

    def waiting_bytes(self, signal: str) -> int:
        """Return the bytes of a signal's segments that wait for the store."""
        with self._lock:
            return sum(segment.bytes for segment in self._waiting.get(signal, ()))

    def _line_of(self, segment: Segment) -> deque[Segment]:
        return (self._replays if segment.replay else self._waiting)[segment.signal]

    def _count(self, segment: Segment, times: int) -> None:
        if segment.replay:
            self._usage.kept += times * segment.bytes
        else:
            self._usage.pending += times * segment.bytes

    # -- room ---------------------------------------------------------------------------------------------------------

    def wrote(self, size: int) -> None:
        """Count bytes that are safe in a file that is still open."""
        with self._lock:
            self._usage.pending += size

    def count_dead_letters(self, total_bytes: int) -> None:
        """Let dead letters take their part of the disk budget: they are never dropped to make room."""
        with self._lock:
            self._usage.dead_letters = total_bytes

    def usage(self) -> Usage:
        """Return what is on disk."""
        with self._lock:
            return replace(self._usage)

    def refuse_if_full(self, size: int, queued: int) -> None:
        """Raise Refusal if there is no room for so many bytes beside those that wait to be written."""
        if self._shortage(size, queued) is None:  # nearly always, and then the lock would cost as much as the question
            return
        with self._lock:  # the sums may have been half changed
            refusal = self._shortage(size, queued)
        if refusal is not None:
            raise refusal

    def _shortage(self, size: int, queued: int) -> Refusal | None:
        settings, usage = self._settings, self._usage
        if usage.pending + usage.dead_letters + queued + size > settings.journal_budget_bytes:
            return overloaded(
                "journal_full",
                f"the journal has reached its budget of {settings.journal_budget_bytes} bytes",
            )
        if self._disk_free + usage.kept < settings.disk_reserve_bytes + size:  # kept segments give way
            return overloaded("disk_full", f"the disk of {settings.journal_dir} is nearly full")
        return None

    def is_tight(self, margin: int) -> bool:
        """Tell whether the disk was within `margin` bytes of its reserve when it was last looked at."""
        with self._lock:
            return self._disk_free < self._settings.disk_reserve_bytes + margin

    def check_disk(self) -> None:
        """Look at the disk, once a second at most, and delete what is kept no longer."""
        now = time.monotonic()
        if now - self._checked_disk < DISK_CHECK_S:
            return
        self._checked_disk = now
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(self._settings.journal_dir).free
            with self._lock:
                self._disk_free = free
        self.drop_kept()

    def drop_kept(self) -> None:
        """Delete shipped segments that are old enough, or whose room is needed."""
        settings, usage = self._settings, self._usage
        while True:
            with self._lock:
                if not self._kept:
                    return
                shipped_at, segment = self._kept[0]
                crowded = (
                    usage.pending + usage.kept > settings.journal_budget_bytes
                    or self._disk_free < settings.disk_reserve_bytes
                )
                if not crowded and 0 <= self._clock() - shipped_at < settings.keep_shipped_s:
                    return
                self._kept.popleft()
                usage.kept -= segment.bytes
                self._disk_free += segment.bytes
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:  # the next start deletes it
                log.warning("a shipped segment cannot be deleted", segment=segment.id, error=str(error))
