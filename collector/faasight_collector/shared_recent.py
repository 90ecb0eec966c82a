"""The memory of recent requests that several workers of one machine share.

A client whose answer got lost connects again, and reaches another worker: what the first one wrote must be known there.
A worker claims a request before it writes it, and turns the claim into a memory when it is safe. If it is killed in
between, nobody can tell whether the record is in its journal: until that journal is recovered, by its next start or by
a neighbour that adopts it, the request is answered 503 and comes again. So it is neither lost nor stored twice.

LMDB keeps it: a file mapped by all workers, one writer at a time, whose lock is freed when its holder dies. It is not
synced: after a start of the machine a new one is begun and filled from the journals (`adoption.remember`).
"""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import lmdb
import structlog

from faasight_collector.errors import JournalError
from faasight_collector.recent import GENERATION, Claims

log = structlog.get_logger()

Change = Callable[[lmdb.Transaction], None]

_MAP_BYTES = 256 * 1024 * 1024  # of address space; two generations fill about a tenth
_YOUNG = b"young"  # key of the main table: which of the two generations is the young one
_GENERATIONS = (b"a", b"b")


class SharedDigests:
    """Recent digests in a file that all workers under `home` have open; `owner` names this worker's journal.

    What it could not be told (its disk was full) it is told before the next claim; until then nobody claims anything.
    """

    def __init__(self, home: Path, owner: str, *, generation: int = GENERATION, boot_id: str | None = None) -> None:
        folder = home / "recent"
        self._path = path = folder / (_boot_id() if boot_id is None else boot_id)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for old in folder.iterdir():  # of before the machine's last start: it may not be whole
                if old != path:
                    shutil.rmtree(old, ignore_errors=True)
            self._lmdb = lmdb.open(str(path), map_size=_MAP_BYTES, max_dbs=3, sync=False, metasync=False, mode=0o600)
            self._claims = self._lmdb.open_db(b"claims")
            self._generations = {name: self._lmdb.open_db(name) for name in _GENERATIONS}
        except (OSError, lmdb.Error) as error:
            raise JournalError(
                f"The workers' shared memory {path} cannot be used: {error}. Make room if its disk is full; "
                "else stop all workers, and delete that folder."
            ) from error
        self._owner = owner.encode()
        self._generation = generation
        self._lock = threading.RLock()  # of what follows: the journal's thread and the adopter's
        self._owed: list[Change] = []  # what is so, and the shared memory could not be told

    def claim(self, digests: Sequence[bytes]) -> Claims:
        """Claim what nobody has. Raises JournalError: then nothing is claimed."""
        known: set[bytes] = set()
        busy: set[bytes] = set()
        with self._writing() as txn:
            for digest in digests:
                if any(txn.get(digest, db=db) is not None for db in self._generations.values()):
                    known.add(digest)
                elif txn.get(digest, self._owner, db=self._claims) != self._owner:
                    busy.add(digest)
                else:
                    txn.put(digest, self._owner, db=self._claims)
        return Claims(known, busy)

    def keep(self, digests: Sequence[bytes]) -> None:
        """Turn claims into memories. They are safe whatever happens here, so that nothing is raised."""
        kept = list(digests)  # the caller goes on with its list
        self._tell(lambda txn: self._remember(txn, kept))

    def release(self, digests: Sequence[bytes]) -> None:
        """Give claims back."""
        given = list(digests)
        self._tell(lambda txn: self._void(txn, self._owner, given))

    def recovered(self, owner: str, digests: Iterable[bytes]) -> None:
        """Remember what a journal holds, and void the other claims that it had."""
        held = list(digests)  # read before all writers wait for us: they are many files

        def change(txn: lmdb.Transaction) -> None:
            self._void(txn, owner.encode(), [bytes(digest) for digest, _ in txn.cursor(db=self._claims)])
            self._remember(txn, held)

        self._tell(change)

    def settle(self) -> None:
        """Tell what is owed. Raises JournalError."""
        if self._owed:
            with self._writing():
                pass

    def _tell(self, change: Change) -> None:
        try:
            with self._lock:
                self._owed.append(change)
                self.settle()
        except JournalError as error:
            log.warning("the workers' shared memory is told later", error=str(error))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[lmdb.Transaction]:
        """Begin a change of the file, with what it is owed, that is made as a whole or not at all."""
        with self._lock:
            try:
                with self._lmdb.begin(write=True) as txn:
                    for change in self._owed:
                        change(txn)
                    yield txn
            except lmdb.Error as error:
                raise JournalError(f"The workers' shared memory {self._path} cannot be written: {error}") from error
            self._owed.clear()

    def close(self) -> None:
        """Close the file."""
        self._lmdb.close()

    def _void(self, txn: lmdb.Transaction, owner: bytes, digests: Iterable[bytes]) -> None:
        for digest in digests:
            if txn.get(digest, db=self._claims) == owner:
                txn.delete(digest, db=self._claims)

    def _remember(self, txn: lmdb.Transaction, digests: Iterable[bytes]) -> None:
        young = bytes(txn.get(_YOUNG, _GENERATIONS[0]))
        room = self._generation - txn.stat(self._generations[young])["entries"]
        for digest in digests:
            if room <= 0:
                young = _GENERATIONS[1 - _GENERATIONS.index(young)]
                txn.drop(self._generations[young], delete=False)
                txn.put(_YOUNG, young)
                room = self._generation
            txn.delete(digest, db=self._claims)
            room -= txn.put(digest, b"", db=self._generations[young])


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux: the file is kept over a start, as all others are
        return "unknown"
