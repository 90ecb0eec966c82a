"""The memory of recent requests that several workers of one machine share.

A client whose answer got lost connects again, and reaches another worker: what the first one wrote must be known there.
A worker claims a request before it writes it, and turns the claim into a memory when it is safe. If it is killed in
between, nobody can tell whether the record is in its journal: until that journal is recovered, by its next start or by
a neighbour that adopts it, the request is answered 503 and comes again. So it is neither lost nor stored twice.

LMDB keeps it: a file mapped by all workers, one writer at a time, whose lock is freed when its holder dies. It is not
synced: after a start of the machine a new one is begun and filled from the journals (`adoption.remember`).
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import lmdb
import structlog

from faasight_collector.errors import JournalError
from faasight_collector.recent import GENERATION, Claims, RecentDigests

log = structlog.get_logger()

_MAP_BYTES = 256 * 1024 * 1024  # of address space; two generations fill about a tenth
_YOUNG = b"young"  # key of the main table: which of the two generations is the young one
_GENERATIONS = (b"a", b"b")


class SharedDigests:
    """Recent digests in a file that all workers under `home` have open; `owner` names this worker's journal."""

    def __init__(self, home: Path, owner: str, *, generation: int = GENERATION, boot_id: str | None = None) -> None:
        folder = home / "recent"
        path = folder / (_boot_id() if boot_id is None else boot_id)
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
                f"The workers' shared memory {path} cannot be used: {error}. Stop all workers, and delete that folder."
            ) from error
        self._owner = owner.encode()
        self._generation = generation
        self._untold = RecentDigests(generation)  # safe, and the shared memory could not be told

    def claim(self, digests: Sequence[bytes]) -> Claims:
        """Claim what nobody has. Raises lmdb.Error: then nothing is claimed."""
        known: set[bytes] = set()
        busy: set[bytes] = set()
        with self._lmdb.begin(write=True) as txn:
            for digest in digests:
                if digest in self._untold or any(
                    txn.get(digest, db=db) is not None for db in self._generations.values()
                ):
                    known.add(digest)
                elif txn.get(digest, self._owner, db=self._claims) != self._owner:
                    busy.add(digest)
                else:
                    txn.put(digest, self._owner, db=self._claims)
        return Claims(known, busy)

    def keep(self, digests: Sequence[bytes]) -> None:
        """Turn claims into memories. They are safe whatever happens here, so that nothing is raised."""
        try:
            with self._lmdb.begin(write=True) as txn:
                self._remember(txn, digests)
        except lmdb.Error as error:
            log.warning("the workers' shared memory cannot be written", error=str(error))
            self._untold.keep(digests)

    def release(self, digests: Sequence[bytes]) -> None:
        """Give claims back."""
        try:
            with self._lmdb.begin(write=True) as txn:
                for digest in digests:
                    if txn.get(digest, db=self._claims) == self._owner:
                        txn.delete(digest, db=self._claims)
        except lmdb.Error as error:  # others go on asking for patience; this worker may write them still
            log.warning("the workers' shared memory cannot be written", error=str(error))

    def recovered(self, owner: str, digests: Iterable[bytes]) -> None:
        """Remember what a journal holds, and void the other claims that it had. Raises lmdb.Error."""
        of = owner.encode()
        with self._lmdb.begin(write=True) as txn:
            for digest, claimant in list(txn.cursor(db=self._claims)):
                if claimant == of:
                    txn.delete(digest, db=self._claims)
            self._remember(txn, digests)

    def close(self) -> None:
        """Close the file."""
        self._lmdb.close()

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
