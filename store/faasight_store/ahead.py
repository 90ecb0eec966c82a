"""Answers kept fresh by a thread while somebody looks, so that no page waits for what all of its queries ask first."""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from faasight_store.cache import Cache
from faasight_store.errors import StoreError

log = logging.getLogger(__name__)

USED_WITHIN_S = 10.0  # what nobody asked for so long is left to grow old
GOOD_FOR = 1.5  # times the pace: time for the next renewal to begin
WAITED_FOR = 3  # times the pace: the old answer is given while it is renewed, but for no longer
_STOP_WAIT_S = 1.0  # a stop takes five seconds at most; the clients wait for what is late


@dataclass(slots=True)
class _Kept:
    """An answer that is to be renewed."""

    renew: Callable[[Any], Any]  # the new answer, of the old one
    used: float


class Ahead:
    """Renews what a cache holds, every `pace_s` seconds, for as long as somebody is expected to ask.

    Nothing is renewed before `expect` was called: rules and settling need no answer at once, and a machine that nobody
    looks at shall rest. The thread begins with the first `expect` and ends when the time is over.
    """

    def __init__(self, cache: Cache, pace_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._pace_s = pace_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Hashable, _Kept] = {}
        self._until = 0.0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def used(self, key: Hashable, renew: Callable[[Any], Any]) -> None:
        """Note that a key was asked for, and how to renew its answer."""
        with self._lock:
            self._kept[key] = _Kept(renew, self._clock())

    def expect(self, seconds: float) -> None:
        """Keep what is asked for fresh for so long."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)
            if not self.running and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="faasight-store-ahead", daemon=True)
                self._thread.start()

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def renew(self) -> None:
        """Renew every answer that was asked for lately, once."""
        now = self._clock()
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if now - kept.used <= USED_WITHIN_S}
            due = list(self._kept.items())
        for key, kept in due:
            if self._stopping.is_set():
                return
            try:
                self._cache.renew(key, kept.renew, GOOD_FOR * self._pace_s, WAITED_FOR * self._pace_s)
            except StoreError as error:  # whoever asks next asks the store, and is told
                log.debug("what is remembered was not renewed: %s", error)

    def close(self) -> None:
        """Stop the thread, and wait for what it is at."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            thread.join(_STOP_WAIT_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._pace_s):
            with self._lock:
                if self._clock() >= self._until:
                    self._thread = None
                    return
            self.renew()
