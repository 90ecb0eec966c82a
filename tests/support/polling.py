"""Waiting for what happens on its own time: ask again until a deadline, never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(ask: Callable[[], Found], what: str, timeout_s: float = 180.0, every_s: float = 0.05) -> Found:
    """Return the first true answer of `ask`; fails with `what` and the last answer after `timeout_s`.

    What comes, comes within moments; the deadline is for a machine that is ten times as busy, and is no promise.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() > deadline  # asked once more: this process may have been the one that stood still
        answer = ask()
        if answer:
            return answer
        if late:
            raise AssertionError(f"waited {timeout_s:g} s in vain until {what}; the last answer was {answer!r}")
        time.sleep(every_s)
