"""How long segments gather before they are shipped: an insert has a price of its own, however small it is."""

import time
from collections.abc import Callable

from faasight_collector.settings import Settings

_REST = 4  # times what inserts take: with small ones the store is busy for a fifth of the time
_FORGET_S = 30.0  # a signal of which nothing was shipped for as long costs nothing


class Pace:
    """The age at which a segment is sealed, from `segment_age_s` up to `segment_age_max_s`.

    Segments of all signals are sealed at the same age, and inserted one after the other: so it is the sum over signals,
    of what an insert of each took last, that the store rests four times as long from. `clock` gives monotonic seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._least_s = settings.segment_age_s
        self._most_s = settings.segment_age_max_s
        self._clock = clock
        self._took: dict[str, tuple[float, float]] = {}  # by signal: when, and the seconds that an insert took

    def inserted(self, signal: str, took_s: float) -> None:
        """Learn from an insert. Safe beside `age_s` in another thread."""
        self._took = {**self._took, signal: (self._clock(), took_s)}

    def age_s(self) -> float:
        """Return the age to seal at."""
        now = self._clock()
        in_all = sum(took_s for at, took_s in self._took.values() if now - at < _FORGET_S)
        return min(max(self._least_s, _REST * in_all), max(self._least_s, self._most_s))
