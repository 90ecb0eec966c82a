"""Answers kept for a moment: ten viewers of one page cost one query, and its queries ask once what all must know."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

A = TypeVar("A")
T = TypeVar("T")

CAPACITY = 512  # answers; the oldest go first
FOLLOWED_S = 60.0  # what nobody asked for so long is not computed ahead


class Cache:
    """A single-flight cache: callers of one key share the computation under way, then its answer until it is too old.

    A failure reaches all who wait for it, and is not kept.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[float, Future[Any]]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], T], ttl_s: float) -> T:
        """Return the answer of `key`, computed now unless one younger than `ttl_s` seconds is there or on its way."""
        future, mine = self._claim(key)
        if not mine:
            return cast(T, future.result())
        try:
            answer = compute()
        except BaseException as error:
            self._forget(key, future)
            future.set_exception(error)
            raise
        with self._lock:
            if key in self._entries and self._entries[key][1] is future:
                self._entries[key] = (self._clock() + ttl_s, future)
        future.set_result(answer)
        return answer

    def clear(self) -> None:
        """Forget every answer; what is under way is told to those who wait for it, and not kept."""
        with self._lock:
            self._entries.clear()

    def renew(self, key: Hashable, renewed: Callable[[Any], T], ttl_s: float, within_s: float) -> None:
        """Replace the answer of `key`, if there is one, by what is made of it.

        Callers get the old one meanwhile, if it was still good, for `within_s` seconds at most; the new one is good for
        `ttl_s`. Raises what `renewed` raises: the old one is then good for as long as it was.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or not entry[1].done():
                return
            if self._clock() < entry[0]:
                self._entries[key] = (self._clock() + within_s, entry[1])
        future: Future[Any] = Future()
        try:
            future.set_result(renewed(entry[1].result()))
        except BaseException:
            self._replace(key, entry[1], entry)
            raise
        self._replace(key, entry[1], (self._clock() + ttl_s, future))

    def _replace(self, key: Hashable, old: Future[Any], entry: tuple[float, Future[Any]]) -> None:
        """Put an answer in the place of an older one, unless that was forgotten, or asked anew."""
        with self._lock:
            known = self._entries.get(key)
            if known is not None and known[1] is old:
                self._entries[key] = entry

    def _claim(self, key: Hashable) -> tuple[Future[Any], bool]:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and self._clock() < entry[0]:
                return entry[1], False
            now = self._clock()
            for old in [known for known, (until, _) in self._entries.items() if until <= now]:
                del self._entries[old]  # an answer may be large: none stays in memory longer than it is good for
            future: Future[Any] = Future()
            self._entries[key] = (float("inf"), future)  # in flight: young until it is done
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
            return future, True

    def _forget(self, key: Hashable, future: "Future[Any]") -> None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry[1] is future:
                del self._entries[key]


class Once(Generic[A, T]):
    """What the first who asks computes of something, for all who hold this; after a failure the next one tries."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._compute: Callable[[A], T] | None = None
        self._answer: T | None = None
        self._asked = 0.0

    def get(self, compute: Callable[[A], T], of: A) -> T:
        """Return the answer."""
        self._asked = self._clock()
        return self._get(compute, of)

    @property
    def answer(self) -> T | None:
        """What was computed, None if nothing was yet."""
        return self._answer

    def follow(self, before: "Once[A, T]", of: A) -> None:
        """Compute at once, if that was asked lately of what this is the successor of."""
        self._asked = before._asked
        if before._compute is not None and self._clock() - before._asked <= FOLLOWED_S:
            self._get(before._compute, of)

    def _get(self, compute: Callable[[A], T], of: A) -> T:
        with self._lock:
            if self._answer is None:
                self._compute, self._answer = compute, compute(of)
            return self._answer
