"""Which requests were accepted lately, so that one sent again after a lost answer is stored once."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

GENERATION = 1 << 17  # digests; two generations take about 30 MB at most


class Claims(NamedTuple):
    """What became of a claim, by digest; those in neither set are the claimant's to write."""

    known: frozenset[bytes] | set[bytes]  # safe already
    busy: frozenset[bytes] | set[bytes]  # another process began to write them, and it is not known yet how that ended


class Memory(Protocol):
    """Remembers requests by their digests: `RecentDigests` of one process, `shared_recent.SharedDigests` of several."""

    def claim(self, digests: Sequence[bytes]) -> Claims:
        """Say that these are about to be written, and learn which must not be. Raises JournalError."""

    def keep(self, digests: Sequence[bytes]) -> None:
        """Say that these are safe now."""

    def release(self, digests: Sequence[bytes]) -> None:
        """Say that these could not be made safe: whoever gets them next may write them."""

    def recovered(self, owner: str, digests: Iterable[bytes]) -> None:
        """Say that these are all that the journal `owner` held when its process ended: its other claims are void."""

    def settle(self) -> None:
        """Tell the others what they could not be told. Raises JournalError."""

    def close(self) -> None:
        """Give back what it holds."""


class RecentDigests:
    """A set that forgets its oldest half when it is full."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._young or digest in self._old

    def add(self, digest: bytes) -> None:
        """Remember a request."""
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, set()
        self._young.add(digest)

    def claim(self, digests: Sequence[bytes]) -> Claims:
        """Return those that are remembered; one process has nobody to share with."""
        return Claims(self._young.intersection(digests) | self._old.intersection(digests), frozenset())

    def keep(self, digests: Sequence[bytes]) -> None:
        """Remember requests."""
        if len(self._young) + len(digests) < self._generation:  # nearly always
            self._young.update(digests)
            return
        for digest in digests:
            self.add(digest)

    def release(self, digests: Sequence[bytes]) -> None:
        """Nothing was remembered yet."""

    def recovered(self, owner: str, digests: Iterable[bytes]) -> None:  # noqa: ARG002  # as `Memory` has it
        """Remember what an earlier process wrote."""
        self.keep(list(digests))

    def settle(self) -> None:
        """There are no others."""

    def close(self) -> None:
        """Hold nothing."""
