"""The journal: what was accepted, safe on disk before anyone is told so.

Requests of all connections share one write and one fdatasync (group commit). Each signal has a folder of segment
files, whose state is in the name's ending:

    .open           being written
    .sealed         complete, to be shipped
    .split          complete, to be shipped in parts (the engine refused it as a whole)
    .sealed.done    shipped, kept for a while and shipped again on start (likewise .split.done)
"""

import math
import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import structlog

from faasight_collector.errors import JournalError, Refusal, overloaded
from faasight_collector.inventory import DISK_CHECK_S, ORDINARY, Inventory
from faasight_collector.pace import Pace
from faasight_collector.recent import Memory, RecentDigests
from faasight_collector.recovery import latest_digests, recover, take
from faasight_collector.segments import Segment, digest_of, encode_header
from faasight_collector.settings import Settings
from faasight_collector.shared_recent import SharedDigests
from faasight_collector.writer import SegmentFile, lock_directory, sync_directory

log = structlog.get_logger()

Done = Callable[[Refusal | None], None]  # called once: with None when the record is safe, else with what to answer
Outcome = tuple[Done, Refusal | None]
Count = Callable[[str, int, int, Refusal | None], None]  # (signal, records, bytes, why they were refused)

_MAX_QUEUED = 64 * 1024 * 1024  # bytes that wait for the disk; more would be memory without a bound
_LOCK_WAIT_S = 20.0  # for a neighbour that adopts what a worker left
_MANY = 16  # records in a queue that still grows: a sync has a price of its own, and some more will share it

Entry = tuple[bytes, Done, bytes | None]  # a record that waits for its commit: payload, whom to tell, key


class Journal:
    """Append-only segment files of one directory, owned by one process.

    `deliver` hands the outcomes of a whole commit to whoever waits, in one call from the commit thread (an event
    loop wants one wake-up for many requests); `count` is told of them first, by signal and outcome.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        deliver: Callable[[Sequence[Outcome]], None] | None = None,
        count: Count | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._directory = settings.journal_dir
        self.deliver = deliver or _call_each
        self._count = count or _count_nothing
        self._clock = clock
        self._run = secrets.token_hex(8)  # makes segment ids unique over all journals and restarts
        self._sequence = 0
        self.inventory = Inventory(settings, clock)
        self._lock = threading.Lock()  # of the following six; the inventory has its own
        self._queue: dict[str, list[Entry]] = {}  # by signal
        self._queued = 0
        self._queued_bytes = 0
        self._closing = False
        self._seal_now = False
        self._files: dict[str, SegmentFile] = {}
        self._work = threading.Event()
        self.sealed_some = threading.Event()  # wakes the shipper
        self._unsealed: list[tuple[str, SegmentFile]] = []  # complete, and the disk refuses to rename them
        self._pace = Pace(settings)
        self._recent: Memory = RecentDigests()
        self._claimed: dict[str, set[bytes]] = {}  # by signal: claimed, and not safe yet
        self._thread = threading.Thread(target=self._commit_loop, name="faasight-journal", daemon=True)
        self._unlock: Callable[[], None] = _nothing

    # -- life ---------------------------------------------------------------------------------------------------------

    def open(self) -> int:
        """Take the directory, recover what was left there, and begin to accept; return how many segments were left.

        Raises JournalLockedError if another process has it, JournalError if it cannot be used.
        """
        settings = self._settings
        if settings.worker and settings.home:
            self._recent = SharedDigests(settings.home, str(self._directory.resolve()))
        try:
            self._unlock = lock_directory(self._directory, _LOCK_WAIT_S if self._settings.worker else 0.0)
            found = self._recover(self._directory)
        except OSError as error:
            self._release()
            raise JournalError(
                f"The journal {self._directory} cannot be used: {error.strerror or error}"
                f"{f' ({error.filename})' if error.filename else ''}. Mend that, or choose another by FAASIGHT_JOURNAL."
            ) from error
        for segment in found:
            self.inventory.add(segment)
        self.inventory.check_disk()
        self._thread.start()
        if found:
            log.info("journal recovered", segments=len(found), bytes=self.inventory.usage().pending)
            self.sealed_some.set()
        return len(found)

    def adopt(self, directory: Path) -> int:
        """Take over the segments of a journal that nobody has open, whose lock the caller holds; return how many.

        Raises OSError, and may be called again then.
        """
        found = self._recover(directory)
        for signal in {segment.signal for segment in found}:
            for segment in [segment for segment in found if segment.signal == signal]:
                taken = take(segment, self._directory / signal)
                if taken is not None:
                    self.inventory.add(taken)
            sync_directory(self._directory / signal)
        self.sealed_some.set()
        return len(found)

    def tell_neighbours(self) -> None:
        """Tell other workers what is safe here, if a full disk kept it from them. Raises JournalError."""
        self._recent.settle()

    def _recover(self, directory: Path) -> list[Segment]:
        now = self._clock() if self._settings.store_is_shared else None
        found = recover(directory, now=now, keep_s=self._settings.keep_shipped_s)
        self._recent.recovered(str(directory.resolve()), latest_digests(found))
        return found

    def close(self) -> None:
        """Finish, and give the directory back; call it after the shipper has stopped."""
        self.finish()
        self._release()

    def _release(self) -> None:
        self._recent.close()
        unlock, self._unlock = self._unlock, _nothing
        unlock()

    def finish(self) -> None:
        """Commit and seal everything; nothing more is accepted."""
        with self._lock:
            self._closing = True
        self._work.set()
        if self._thread.is_alive():
            self._thread.join()

    # -- accepting ----------------------------------------------------------------------------------------------------

    def append(self, signal: str, payload: bytes, done: Done, key: bytes | None = None) -> None:
        """Queue a record for the next commit; `done` is called when it is safe, or could not be made so.

        A `key` names the record in place of its bytes: another one with the same key is not written again.

        Raises Refusal when there is no room: nothing was kept then.
        """
        size = len(payload)
        with self._lock:
            if self._closing:
                raise overloaded("stopping", "the collector is stopping")
            if self._queued_bytes + size > _MAX_QUEUED and self._queue:
                raise overloaded("busy", "the journal's disk does not keep up", retry_after_s=1)
            self.inventory.refuse_if_full(size, self._queued_bytes)
            entries = self._queue.get(signal)
            if entries is None:
                self._queue[signal] = entries = []
            entries.append((payload, done, key))
            self._queued_bytes += size
            self._queued += 1
            first = self._queued == 1
        if first:
            self._work.set()

    def refusal(self) -> Refusal | None:
        """Return why an ordinary request would not be accepted now, or None."""
        with self._lock:
            if self._closing:
                return overloaded("stopping", "the collector is stopping")
            try:
                self.inventory.refuse_if_full(ORDINARY, self._queued_bytes)
            except Refusal as refusal:
                return refusal
        return None

    # -- sealing and telling ------------------------------------------------------------------------------------------

    def shipped(self, signal: str, took_s: float) -> None:
        """Learn that a segment of a signal is in the store, and how long that took: the next one may be due."""
        self._pace.inserted(signal, took_s)
        self._work.set()

    def set_aside(self, segment: Segment) -> None:
        """Learn that others pass a segment, which the store may never take: the next one may be due."""
        self.inventory.set_aside(segment)
        self._work.set()

    def seal_all(self) -> None:
        """Ask for all open segments to be sealed soon, whatever their age."""
        with self._lock:
            self._seal_now = True
        self._work.set()

    def pending_bytes(self, signal: str) -> int:
        """Return the bytes of a signal that are not in the store yet."""
        with self._lock:
            file = self._files.get(signal)
            return self.inventory.waiting_bytes(signal) + (file.bytes if file else 0)

    def oldest_ms(self, signal: str) -> int | None:
        """Return when the oldest record that is not in the store yet was written (Unix ms), or None."""
        with self._lock:
            oldest = self.inventory.oldest_ms(signal)
            file = self._files.get(signal)
            return file.created_ms if oldest is None and file else oldest

    # -- the commit thread --------------------------------------------------------------------------------------------

    def _commit_loop(self) -> None:
        while True:
            self._work.wait(self._until_next_seal())
            self._gather()
            self._work.clear()
            try:
                if self._commit_round():
                    return
            except Exception:
                log.exception("the journal's thread met a fault of ours; it goes on")
                time.sleep(DISK_CHECK_S)  # not as fast as it can

    def _gather(self) -> None:
        """Let others join the same fdatasync; where many come, let as many again."""
        window_s = self._settings.commit_window_s
        if window_s and not self._closing:
            time.sleep(window_s)
            if self._queued >= _MANY and not self._closing:
                time.sleep(window_s)

    def _commit_round(self) -> bool:
        """Write what has come, seal what is due, and tell whether that was the last of it."""
        with self._lock:
            batch, self._queue, self._queued, self._queued_bytes = self._queue, {}, 0, 0
            closing, seal_now = self._closing, self._seal_now
            self._seal_now = False
        if batch:
            outcomes = self._commit(batch)
            self.inventory.drop_kept()
            self.deliver(outcomes)
        self._seal_due(everything=closing or seal_now)
        self.inventory.check_disk()
        return closing and not self._queue

    def _until_next_seal(self) -> float | None:
        if self._unsealed or any(file.broken for file in self._files.values()):
            return DISK_CHECK_S
        if not self._files:
            return DISK_CHECK_S if self.inventory.is_tight(_MAX_QUEUED) else None
        return min(min(max(self._due_in(signal, file), 0.0), DISK_CHECK_S) for signal, file in self._files.items())

    def _due_in(self, signal: str, file: SegmentFile) -> float:
        """Return the seconds until a file is old enough to be sealed; 0 for one of the future (a clock that jumped).

        While an earlier segment of the signal waits for the store this one would wait too, and be one more insert: it
        grows instead, so that a store that is slow, or was away, gets few inserts rather than small ones.
        """
        age_s = self._clock() - file.created_ms / 1000
        if age_s < 0:
            return 0.0
        return math.inf if self.inventory.holds_up(signal) else self._pace.age_s() - age_s

    def _commit(self, batch: dict[str, list[Entry]]) -> list[Outcome]:
        """Write and sync one batch, each signal on its own: a failed file fails its own records only."""
        outcomes: list[Outcome] = []
        for signal, entries in batch.items():
            failure: Refusal | None = None
            busy: Collection[bytes] = ()
            names: list[bytes] = []
            try:
                self._mend(signal)
                names = [digest_of(signal, payload if key is None else b"key " + key) for payload, _, key in entries]
                fresh, busy = self._fresh(names, entries)
                self._write(signal, fresh)
            except Exception as error:  # whatever it is, nobody may be told that it is safe
                said = str(error) if isinstance(error, JournalError) else f"the journal cannot be written: {error}"
                failure = overloaded("disk_error", said)
                known = isinstance(error, (OSError, JournalError))
                log.error("journal write failed", signal=signal, error=str(error), exc_info=not known)
                self._abandon(signal)
            if busy:
                refused = [_elsewhere() if name in busy else failure for name in names]
            else:
                refused = [failure] * len(entries)
            self._tell_count(signal, entries, refused)
            outcomes.extend((entry[1], refusal) for entry, refusal in zip(entries, refused, strict=True))
        return outcomes

    def _tell_count(self, signal: str, entries: list[Entry], refused: list[Refusal | None]) -> None:
        sizes = [len(entry[0]) for entry, refusal in zip(entries, refused, strict=True) if refusal is None]
        if sizes:
            self._count(signal, len(sizes), sum(sizes), None)
        for refusal in refused:
            if refusal is not None:
                self._count(signal, 1, 0, refusal)

    def _mend(self, signal: str) -> None:
        """Cut back a file that a failed write has left broken, before anything else is claimed or written for it."""
        file = self._files.get(signal)
        if file is not None and file.broken:
            file.roll_back()
            self._give_back(signal)

    def _fresh(self, names: list[bytes], entries: list[Entry]) -> tuple[dict[bytes, bytes], Collection[bytes]]:
        """Return the payloads to be written, by name, and the names of what another worker may be writing."""
        named = {name: entry[0] for name, entry in zip(names, entries, strict=True)}
        known, busy = self._recent.claim(list(named))
        for name in (*known, *busy):
            del named[name]
        return named, busy

    def _write(self, signal: str, fresh: dict[bytes, bytes]) -> None:
        if not fresh:  # all of them are answers that got lost: they are safe already
            return
        self._claimed.setdefault(signal, set()).update(fresh)
        written: list[bytes] = []
        file = self._files.get(signal)
        for digest, payload in fresh.items():
            if file is not None and file.size + len(payload) > self._settings.segment_bytes:
                # A large record after others would make a segment of twice the size, and take as much memory to ship.
                if written:
                    self._sync(signal, file, written)
                self._seal(signal, file)
                file = None
            file = file or self._new_file(signal)
            file.add(encode_header(payload, digest), payload)
            written.append(digest)
            if file.size >= self._settings.segment_bytes:
                self._sync(signal, file, written)
                self._seal(signal, file)
                file = None
        if written and file is not None:
            self._sync(signal, file, written)

    def _sync(self, signal: str, file: SegmentFile, written: list[bytes]) -> None:
        """Make what was written safe, and remember it."""
        before = file.bytes
        file.commit()
        self._recent.keep(written)
        self._claimed[signal].difference_update(written)
        written.clear()
        self.inventory.wrote(file.bytes - before)

    def _new_file(self, signal: str) -> SegmentFile:
        self._sequence += 1
        created_ms = int(self._clock() * 1000)
        name = f"{created_ms:013d}-{self._run}-{self._sequence:06d}"
        file = SegmentFile.create(self._directory / signal / f"{name}.open", created_ms)
        self._files[signal] = file
        return file

    def _abandon(self, signal: str) -> None:
        """Stop using a file that failed: cut it back to what is known to be safe, and seal that.

        If it cannot be cut back, this signal is refused until it can.
        """
        file = self._files.get(signal)
        if file is not None:
            try:
                file.roll_back()
            except OSError as error:
                log.error("a failed write cannot be undone; refusing until it can", signal=signal, error=str(error))
                return
            self._seal(signal, file)
        self._give_back(signal)

    def _give_back(self, signal: str) -> None:
        """Let others write what is known not to be in our file."""
        self._recent.release(list(self._claimed.pop(signal, ())))

    def _seal_due(self, *, everything: bool) -> None:
        waiting, self._unsealed = self._unsealed, []
        for signal, file in waiting:
            self._finish_file(signal, file, again=True)
        for signal, file in list(self._files.items()):
            if file.broken:
                self._abandon(signal)
                continue
            if everything or self._due_in(signal, file) <= 0 or file.bytes >= self._settings.segment_bytes:
                self._seal(signal, file)

    def _seal(self, signal: str, file: SegmentFile) -> None:
        with self._lock:
            del self._files[signal]
        self._finish_file(signal, file)

    def _finish_file(self, signal: str, file: SegmentFile, *, again: bool = False) -> None:
        """Hand a complete file to the shipper; if the disk refuses, it is tried again, and the commits go on."""
        try:
            path = file.seal()
        except OSError as error:
            if not again:
                log.error("journal segment cannot be sealed; trying again", signal=signal, error=str(error))
            self._unsealed.append((signal, file))
            return
        if path is None:
            return
        segment = Segment(signal, path.stem, path, file.bytes, file.created_ms)
        self.inventory.add_sealed(segment)
        self.sealed_some.set()


def _elsewhere() -> Refusal:
    return overloaded("elsewhere", "another worker began to write this request, and has not told how it ended", 1)


def _nothing() -> None:
    pass


def _count_nothing(signal: str, records: int, size: int, refusal: Refusal | None) -> None:
    pass


def _call_each(outcomes: Sequence[Outcome]) -> None:
    for done, refusal in outcomes:
        done(refusal)
