"""Waiting for what happens on its own time: ask again until a deadline, never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(ask: Callable[[], Found], what: str, timeout_s: float = 15.0, every_s: float = 0.05) -> Found:
    """Return the first true answer of `ask`; fails with `what` and the last answer after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain until {what}; the last answer was {answer!r}")
        time.sleep(every_s)
