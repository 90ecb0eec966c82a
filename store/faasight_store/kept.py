"""What is settled, kept in memory for as long as there is room: it never changes, so nothing of it grows old."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

LEAST = 2560  # bytes of an entry, beside its arrays: their heads, the dictionary of them, the key


class Sized(Protocol):
    """A thing that knows how many bytes it takes."""

    @property
    def nbytes(self) -> int:
        """Its size."""


S = TypeVar("S", bound=Sized)
T = TypeVar("T")


class Kept(Generic[S]):
    """A bounded store of things by key, safe to use from several threads; what was not used for longest goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, S] = OrderedDict()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """How much room is taken."""
        return self._bytes

    def find(self, keys: Iterable[Hashable]) -> dict[Hashable, S]:
        """Return what is there of some keys."""
        found = {}
        with self._lock:
            for key in keys:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    found[key] = self._entries[key]
        return found

    def add(self, news: Mapping[Hashable, S]) -> None:
        """Keep these too, in place of what is oldest."""
        with self._lock:
            for key, new in news.items():
                old = self._entries.pop(key, None)
                self._bytes += _size(new) - (_size(old) if old is not None else 0)
                self._entries[key] = new
            while self._bytes > self._most and self._entries:
                self._bytes -= _size(self._entries.popitem(last=False)[1])

    def filled(
        self, keys: Mapping[Hashable, T], read: Callable[[Mapping[Hashable, T]], Mapping[Hashable, S]]
    ) -> list[S]:
        """Return what belongs to these keys; what is missing is `read`, of what its keys stand for, and kept."""
        found = self.find(keys)
        if missing := {key: of for key, of in keys.items() if key not in found}:
            news = read(missing)
            self.add(news)
            found |= news
        return [found[key] for key in keys]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0


def _size(entry: Sized) -> int:
    return entry.nbytes + LEAST
