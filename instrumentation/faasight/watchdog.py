"""One sleeping thread that looks at each invocation in due time: to tell that it takes long, or that it times out."""

from __future__ import annotations

import time
from _thread import TIMEOUT_MAX, allocate_lock, start_new_thread

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from faasight.invocation import Invocation

NEVER = float("inf")


class Watchdog:
    """Calls `due` for each invocation still watched at its time; the answer is when to look at it again, NEVER if not.

    The thread is woken for an earlier time only. Each invocation's time is later than that of the one before, so that
    watching costs a warm function two dictionary operations and no thread switch: it must not sleep for ever only
    because the call that woke it was over before it had looked. SIGALRM would be lighter, but works on the main thread
    alone.
    """

    def __init__(self, due: Callable[[Invocation], float]) -> None:
        self._due = due
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child, where the thread is gone."""
        self._watched: dict[Invocation, float] = {}
        self._starting = allocate_lock()
        self._alarm = allocate_lock()  # held while there is nothing new; a Condition would make a lock for each sleep
        self._alarm.acquire()
        self._sleeps_until = NEVER
        self._ahead = 0.0  # seconds from the latest `watch` to its time; 0.0: none since the thread last looked
        self._runs = False

    def watch(self, invocation: Invocation, at: float, ahead: float = 0.0) -> None:
        """Look at `invocation` at the time `at` (time.monotonic), in `ahead` s, unless it is forgotten before."""
        self._watched[invocation] = at
        self._ahead = ahead or at - time.monotonic()
        if at < self._sleeps_until:
            self._start_or_wake()

    def forget(self, invocation: Invocation) -> None:
        """Stop watching."""
        self._watched.pop(invocation, None)

    def _start_or_wake(self) -> None:
        if not self._runs:
            with self._starting:
                if not self._runs:
                    # Of one kind with the lock: gevent, imported later, would make a Thread a part of the main one,
                    # which then waited for itself.
                    start_new_thread(self._run, ())
                    self._runs = True
                    return
        try:
            self._alarm.release()
        except RuntimeError:  # somebody else has just woken it
            return

    def _run(self) -> None:
        alarm = self._alarm
        while True:
            self._sleeps_until = NEVER  # before the look: who comes between look and sleep wakes us
            now = time.monotonic()
            at = min(self._snapshot().values(), default=self._next_look(now))
            if at <= now:
                self._look(now)
                continue
            self._sleeps_until = at
            alarm.acquire(timeout=-1 if at == NEVER else min(at - now, TIMEOUT_MAX))

    def _next_look(self, now: float) -> float:
        """Return when to wake though nothing is watched: before the next call's time, never if calls have ceased.

        Half the time ahead, so that the next call of the same length finds the thread up in time. Frozen in between, it
        wakes with the thaw, while the runtime is still reading its event, and not with a call.
        """
        ahead, self._ahead = self._ahead, 0.0
        return now + ahead / 2 if ahead > 0 else NEVER

    def _look(self, now: float) -> None:
        for invocation, at in self._snapshot().items():
            if at <= now:
                again = NEVER
                try:
                    again = self._due(invocation)
                except Exception as error:  # noqa: BLE001 - the thread must live on for the next invocation
                    complaints.say(f"watching an invocation failed: {type(error).__name__}: {error}")
                if again == NEVER:
                    self.forget(invocation)
                elif invocation in self._watched:  # or it is over
                    self._watched[invocation] = again

    def _snapshot(self) -> dict[Invocation, float]:
        return self._watched.copy()  # one step under the GIL; other threads add and remove meanwhile
