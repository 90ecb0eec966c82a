"""How shipping goes for one signal: when to try again, and which segments let others pass meanwhile."""

import time

import structlog
from faasight_store import StoreError

from faasight_collector.preview import without_secrets
from faasight_collector.segments import Segment

log = structlog.get_logger()

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 15.0
_TRIES = 5  # that a segment gets before it lets others pass
_ASIDE_S = 60.0


class Lane:
    """The line of one signal's segments, which a single bad one must not hold up.

    A store that cannot be reached says nothing of the segment: it is tried until it is stored. An engine that answers,
    time and again, with an error that is neither its own trouble nor plainly that of a record (a view that fails, say)
    may never take this one: then it is set aside, and tried once a minute. So is one whose file cannot be read. It is
    not split: what other tables have of it already they know by its token alone.
    """

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.error = ""
        self.not_before = 0.0  # of the monotonic clock
        self._wait_s = _FIRST_WAIT_S
        self._tried = ("", 0)  # the segment that was tried last, and how often it was answered with an error
        self._aside: dict[str, tuple[float, str]] = {}  # by segment id: when it is tried again, and what was said

    def resting(self, now: float) -> frozenset[str]:
        """Return the ids of the segments that are not to be tried now (monotonic)."""
        return frozenset(segment_id for segment_id, (due, _) in self._aside.items() if now < due)

    def due(self) -> float | None:
        """Return when there is something to try again (monotonic), or None."""
        if self.error:
            return self.not_before
        return min((due for due, _ in self._aside.values()), default=None)

    def trouble(self) -> str:
        """Return why segments are not taken; "" if all are."""
        if self.error or not self._aside:
            return self.error
        segment_id, (_, said) = next(iter(self._aside.items()))
        return f"{len(self._aside)} segments of {self.signal} wait aside; {segment_id}: {said}"

    def failed(self, segment: Segment, error: Exception) -> bool:
        """Wait twice as long as the last time; return True if others may pass at once instead."""
        said = without_secrets(str(error)) or type(error).__name__  # /readyz shows it to whoever asks
        if not (isinstance(error, OSError) or (isinstance(error, StoreError) and error.answered)):
            self._tried = ("", 0)
        elif self._is_stuck(segment):
            if segment.id not in self._aside:
                log.error(
                    "a segment is set aside; the others go on", signal=self.signal, segment=segment.id, error=said
                )
            self._aside[segment.id] = (time.monotonic() + _ASIDE_S, said)
            self.succeeded()
            return True
        if not self.error:
            known = isinstance(error, StoreError)
            log.warning("the store takes no segments; trying again", signal=self.signal, error=said, exc_info=not known)
        self.error = said
        self.not_before = time.monotonic() + self._wait_s
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)
        return False

    def _is_stuck(self, segment: Segment) -> bool:
        before, times = self._tried
        self._tried = (segment.id, times + 1 if before == segment.id else 1)
        return segment.id in self._aside or self._tried[1] >= _TRIES

    def succeeded(self, segment: Segment | None = None) -> None:
        """Forget what went wrong."""
        if self.error and segment:
            log.info("the store takes segments again", signal=self.signal)
        if segment and self._aside.pop(segment.id, None):
            log.info("a segment that was set aside is stored", signal=self.signal, segment=segment.id)
        self.error, self._wait_s, self._tried = "", _FIRST_WAIT_S, ("", 0)
