"""One sleeping thread that sees an invocation's deadline come, and reports it while there is still time to."""

from __future__ import annotations

import threading
import time

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from faasight.invocation import Invocation


class Watchdog:
    """Calls `expired` for each invocation still watched at its time.

    The thread is woken for an earlier deadline only. Each invocation's deadline is later than the one before, so that
    watching costs a warm function two dictionary operations and no thread switch: it must not sleep for ever only
    because the call that woke it was over before it had looked. SIGALRM would be lighter, but works on the main thread
    alone.
    """

    def __init__(self, expired: Callable[[Invocation], None]) -> None:
        self._expired = expired
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child, where the thread is gone."""
        self._watched: dict[Invocation, float] = {}
        self._wake = threading.Condition(threading.Lock())
        self._sleeps_until = float("inf")
        self._ahead = 0.0  # seconds from the latest `watch` to its deadline; 0.0: none since the thread last looked
        self._thread: threading.Thread | None = None

    def watch(self, invocation: Invocation, at: float) -> None:
        """Report `invocation` at the time `at` (time.monotonic) unless it is forgotten before."""
        self._watched[invocation] = at
        self._ahead = at - time.monotonic()
        if self._thread is None or at < self._sleeps_until:
            self._start_or_wake()

    def forget(self, invocation: Invocation) -> None:
        """Stop watching."""
        self._watched.pop(invocation, None)

    def _start_or_wake(self) -> None:
        with self._wake:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="faasight-watchdog", daemon=True)
                self._thread.start()
            else:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._sleeps_until = float("inf")  # before the look: who comes between look and sleep wakes us
                now = time.monotonic()
                at = min(self._snapshot().values(), default=self._next_look(now))
                if at > now:
                    self._sleeps_until = at
                    self._wake.wait(None if at == float("inf") else at - now)
                    continue
            self._report(now)

    def _next_look(self, now: float) -> float:
        """Return when to wake though nothing is watched: before the next call's deadline, never if calls have ceased.

        Half the time ahead, so that the next call of the same length finds the thread up in time. Frozen in between, it
        wakes with the thaw, while the runtime is still reading its event, and not with a call.
        """
        ahead, self._ahead = self._ahead, 0.0
        return now + ahead / 2 if ahead > 0 else float("inf")

    def _report(self, now: float) -> None:
        for invocation, at in self._snapshot().items():
            if at <= now:
                self.forget(invocation)
                try:
                    self._expired(invocation)
                except Exception as error:  # noqa: BLE001 - the thread must live on for the next invocation
                    complaints.say(f"reporting a time-out failed: {type(error).__name__}: {error}")

    def _snapshot(self) -> dict[Invocation, float]:
        return self._watched.copy()  # one step under the GIL; other threads add and remove meanwhile
