"""A limit on a rate: a bucket that fills steadily and that each use empties a little."""

import threading
from collections.abc import Callable


class RateLimit:
    """At most `rate` units a second over time; after a quiet while `burst_s` seconds' worth may come at once.

    `wait_s` asks and `spend` takes, apart: how large a request is shows only when it is there. A large one may leave a
    debt, which those after it wait for, so that the mean holds whatever the sizes. Safe to use from several threads.
    """

    __slots__ = ("_at", "_clock", "_level", "_lock", "_most", "rate")

    def __init__(self, rate: float, clock: Callable[[], float], *, burst_s: float = 2.0, least: float = 1.0) -> None:
        self.rate = rate
        self._clock = clock  # monotonic seconds
        self._most = max(least, rate * burst_s)
        self._level = self._most
        self._at = clock()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """Return after how many seconds something may be spent; 0: now."""
        with self._lock:
            now = self._clock()
            self._level = min(self._most, self._level + (now - self._at) * self.rate)
            self._at = now
            return 0.0 if self._level >= 1 else (1 - self._level) / self.rate

    def spend(self, amount: float) -> None:
        """Take so much."""
        with self._lock:
            self._level -= amount
