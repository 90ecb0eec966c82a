"""Ctrl+C and SIGTERM: the first asks to stop in order, the second ends the process at once."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType


class StopSignal:
    """Listens from its making on; make it in the main thread, before anything is started that has to be stopped."""

    def __init__(self, hard: Callable[[], None] = lambda: None) -> None:
        self._asked = 0
        self._hard = hard
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self._asked > 0

    def wait(self, seconds: float = float("inf")) -> bool:
        """Wait until somebody asks, so long at most; return whether somebody did."""
        end = time.monotonic() + seconds
        # No lock of `threading` here: the handler runs in this same thread, and would wait for what it interrupted.
        while not self._asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
        return self.asked

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1
        if self._asked > 1:
            self._hard()
            os._exit(130)  # no clean-up: that is what was asked for; acknowledged telemetry is in the journal
