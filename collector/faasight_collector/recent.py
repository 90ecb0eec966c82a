"""Which requests were accepted lately, so that one sent again after a lost answer is stored once."""

GENERATION = 1 << 17  # digests; two generations take about 30 MB at most


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
