"""The truth about each function, counted where it happens, for tests to compare the platform's numbers with."""

import threading
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from faasight_emulator.invocation import Result

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Key = TypeVar("Key", bound=Hashable)
Values = TypeVar("Values", bound="DataclassInstance")


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


class Numbers(Generic[Key, Values]):
    """Numbers by key, each a frozen dataclass of ints that begins as `zero`; safe to use from any thread."""

    def __init__(self, zero: Values, keys: Iterable[Key] = ()) -> None:
        self._zero = zero
        self._lock = threading.Lock()
        self._values: dict[Key, Values] = dict.fromkeys(keys, zero)

    def begin(self, key: Key) -> None:
        """Have numbers of this key, if there are none yet."""
        with self._lock:
            self._values.setdefault(key, self._zero)

    def add(self, key: Key, **more: int) -> None:
        """Add to the numbers of these names."""
        with self._lock:
            now = self._values.get(key, self._zero)
            self._values[key] = replace(now, **{name: getattr(now, name) + extra for name, extra in more.items()})

    def all(self) -> dict[Key, Values]:
        """Return the numbers by key."""
        with self._lock:
            return dict(self._values)


class Counter(Numbers[str, Counts]):
    """Counts of all functions, by name."""

    def __init__(self, functions: Iterable[str]) -> None:
        super().__init__(Counts(), functions)

    def result(self, function: str, result: Result, *, cold: bool, init_error: bool) -> None:
        """Count an invocation that has ended."""
        self.add(
            function,
            invocations=1,
            cold_starts=cold,
            errors=not result.ok,
            timeouts=result.status == "timeout",
            out_of_memory=result.error_type == "Runtime.OutOfMemory",
            init_errors=init_error,
        )

    def throttle(self, function: str) -> None:
        """Count an invocation that was turned away."""
        self.add(function, throttles=1)
