"""The wrapper's only voice: one compact line on stderr, at most once a minute, and never an exception."""

from __future__ import annotations

import sys
import time

from faasight import mask

PERIOD_S = 60.0


class Complaints:
    """Says the first failure, then counts the rest until a minute has passed."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict  # the wrapper's own tests want its failures to be seen
        self._next = 0.0
        self._held = 0

    def say(self, what: str) -> None:
        """Write one line, or count it."""
        try:
            now = time.monotonic()
            if now < self._next:
                self._held += 1
                return
            what = mask.text(what)
            more = f" (and {self._held} more)" if self._held else ""
            self._next, self._held = now + PERIOD_S, 0
            sys.stderr.write(f"faasight: {what}{more}\n")
        except Exception:  # noqa: BLE001 - stderr is closed or the user's own, the clock patched, the stack full
            self._held += 1  # there is no one to tell

    def failure(self, where: str, error: BaseException) -> None:
        """Report a failure of the wrapper itself; under `strict` it is raised."""
        if self.strict:
            raise error
        self.say(f"{where} failed: {type(error).__name__}: {_told(error)}")


def _told(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception of the user's own
        return "(its text cannot be told)"


complaints = Complaints()
