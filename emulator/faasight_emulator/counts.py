"""The truth about each function, counted where it happens, for tests to compare the platform's numbers with."""

import threading
from dataclasses import dataclass, replace

from faasight_emulator.invocation import Result


@dataclass(frozen=True, slots=True)
class Counts:
    """One function's numbers since the start.

    `errors` is AWS's metric: every invocation that did not succeed; time-outs, memory kills and init errors are among
    them. Throttles are no invocations.
    """

    invocations: int = 0
    cold_starts: int = 0
    errors: int = 0
    timeouts: int = 0
    out_of_memory: int = 0
    init_errors: int = 0
    throttles: int = 0


class Counter:
    """Counts for all functions; safe to read from any thread."""

    def __init__(self, functions: list[str]) -> None:
        self._lock = threading.Lock()
        self._counts = {name: Counts() for name in functions}

    def result(self, function: str, result: Result, *, cold: bool, init_error: bool) -> None:
        """Count an invocation that has ended."""
        with self._lock:
            now = self._counts[function]
            self._counts[function] = replace(
                now,
                invocations=now.invocations + 1,
                cold_starts=now.cold_starts + cold,
                errors=now.errors + (not result.ok),
                timeouts=now.timeouts + (result.status == "timeout"),
                out_of_memory=now.out_of_memory + (result.error_type == "Runtime.OutOfMemory"),
                init_errors=now.init_errors + init_error,
            )

    def throttle(self, function: str) -> None:
        """Count an invocation that was turned away."""
        with self._lock:
            now = self._counts[function]
            self._counts[function] = replace(now, throttles=now.throttles + 1)

    def all(self) -> dict[str, Counts]:
        """Return the numbers by function name."""
        with self._lock:
            return dict(self._counts)
