"""Ctrl+C and SIGTERM ask to stop in order; a Ctrl+C after that ends the process at once."""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType


class StopSignal:
    """Listens from its making on; make it in the main thread, before anything is started that has to be stopped."""

    def __init__(self, hard: Callable[[], None] = lambda: None) -> None:
        self.asked = False  # whether somebody has asked
        self._hard = hard
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._on_signal)

    def wait(self, seconds: float = float("inf")) -> bool:
        """Wait until somebody asks, so long at most; return whether somebody did."""
        end = time.monotonic() + seconds
        # No lock of `threading` here: the handler runs in this same thread, and would wait for what it interrupted.
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
        return self.asked

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Only a person asks harder. SIGTERM may come several times: Linux sends it for each thread of a killed parent.
        if self.asked and number == signal.SIGINT:
            self._hard()
            os._exit(130)  # no clean-up: that is what was asked for; acknowledged telemetry is in the journal
        self.asked = True
