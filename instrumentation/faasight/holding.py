"""Telemetry of a busy function in one request every few seconds, by choice (FAASIGHT_FLUSH_EVERY).

What went well is held; whatever did not, a time-out, memory that runs short, and what is held for long enough take all
of it along. Something must bring out what is held when no further invocation comes: a timer where the process goes on
running, and on AWS Lambda, which freezes it, the SIGTERM at a sandbox's end, which it sends where there is an extension
("Shutdown phase" in the developer guide). Without either nothing is held. Each held invocation keeps its note in /tmp.
"""

from __future__ import annotations

import os
import time
from _thread import TIMEOUT_MAX, allocate_lock, start_new_thread

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.agent import Agent
    from faasight.invocation import Invocation

EXTENSIONS = "/opt/extensions"  # what lies here is started as an extension
_MANAGED = "lambda-managed-instances"  # of which none is frozen
_MOST = 32  # invocations; the witness has notes for twice as many
_MOST_SPANS = 1_024
_ENDED_BY_SIGTERM = 143  # as shells tell of it


class Holding:
    """Stands between the end of an invocation and the flush; it takes the place of the delivery's `flush`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._every = agent.settings.flush_every
        self._send = agent.delivery.flush
        agent.delivery.flush = self.flush  # type: ignore[method-assign]  # who flushes takes along what is held
        self._frozen = "AWS_LAMBDA_FUNCTION_NAME" in os.environ and agent.coldstart.init_type != _MANAGED
        self._armed = self._frozen and _listen(self)
        self._safe: bool | None = None  # not asked yet
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child: what is held is the parent's to send."""
        self._notes: list[int] = []  # of the witness, of what is held
        self._due = 0.0  # time.monotonic of the next flush; the first invocation goes at once
        self._runs = False  # the timer
        self._pause = allocate_lock()
        self._pause.acquire()

    def leave_signals(self) -> None:
        """Give up SIGTERM, in a forked child: it has no thread that listens, and is to end by it."""
        if self._armed:
            self._armed = self._safe = False
            _stop_listening()

    def takes(self, invocation: Invocation) -> bool:
        """Whether a reported invocation is held; if not, it is to be sent now, and all that was held with it."""
        agent = self._agent
        if (
            time.monotonic() >= self._due
            or invocation.span.attributes.get("faasight.outcome") != "ok"
            or len(self._notes) >= _MOST
            or agent.hurried
            or agent.delivery.waiting() > _MOST_SPANS
            or not self._is_safe()
            or not agent.witness.keep(invocation.note, invocation.span.end_ns)
        ):
            return False
        self._notes.append(invocation.note)
        invocation.note = -1
        if not self._frozen and not self._runs:
            self._runs = True
            start_new_thread(self._run, ())
        return True

    def flush(self, budget: float) -> None:
        """Send all there is, as the delivery's own `flush` does."""
        notes, self._notes = self._notes, []
        self._due = time.monotonic() + self._every
        try:
            self._send(budget)
        finally:
            for note in notes:
                self._agent.witness.end(note)

    def leave(self) -> None:
        """Send what is held, at the process's end; another thread may be about it, and is waited for."""
        self.flush(self._agent.settings.flush_timeout)

    def _is_safe(self) -> bool:
        if self._safe is None:
            self._safe = not self._frozen or (self._armed and _has_extension())
            if not self._safe:
                complaints.say(
                    "FAASIGHT_FLUSH_EVERY needs an extension in this sandbox: each invocation is sent at once"
                )
        return self._safe

    def _run(self) -> None:
        """Flush in due time as long as something is held: the timer's thread."""
        pause = self._pause
        while self._runs:
            left = self._due - time.monotonic()
            if left > 0:
                pause.acquire(timeout=min(left, TIMEOUT_MAX))
                continue
            if not self._notes:
                self._runs = False  # before the last look: who comes after it starts another
                if not self._notes:
                    return
                self._runs = True
            try:
                self.flush(self._agent.settings.flush_timeout)
            except Exception as error:  # noqa: BLE001 - the thread must live on
                complaints.say(f"sending what was held failed: {type(error).__name__}: {error}")

    def ended_from_outside(self) -> None:
        """Send what is held, hear that it came, and do what SIGTERM would have done, if it is left to us."""
        import signal

        try:
            self.leave()
            linger = getattr(self._agent.delivery, "linger", None)
            if linger is not None:
                linger(self._agent.settings.flush_timeout / 2)
        except Exception as error:  # noqa: BLE001 - the process ends as it is told to
            complaints.say(f"sending what was held failed: {type(error).__name__}: {error}")
        if signal.getsignal(signal.SIGTERM) is _nothing:
            os._exit(_ENDED_BY_SIGTERM)


def _has_extension() -> bool:
    try:
        return bool(os.listdir(EXTENSIONS))  # noqa: PTH208 - pathlib is not loaded
    except OSError:
        return False


def _nothing(*_: object) -> None:
    """Handle SIGTERM in Python: that Python has it is enough for the thread below."""


def _listen(holding: Holding) -> bool:
    """Have a thread wait for SIGTERM.

    Python would run a handler on the main thread, and that waits in C for the next event: AWS's client goes on waiting
    through signals. But Python's part in C writes the signal's number to a pipe at once.
    """
    import signal

    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _nothing)
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        others = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if others != -1:
            signal.set_wakeup_fd(others, warn_on_full_buffer=False)
            raise ValueError("signals are taken")
    except (ValueError, OSError) as error:  # ValueError: not on the main thread
        complaints.say(f"SIGTERM is not seen: {error}")
        return False

    def wait() -> None:
        try:
            while heard := os.read(reader, 64):
                if signal.SIGTERM in heard:
                    holding.ended_from_outside()
        except OSError:
            return  # the function has closed it

    start_new_thread(wait, ())
    return True


def _stop_listening() -> None:
    import signal

    try:
        signal.set_wakeup_fd(-1)
        if signal.getsignal(signal.SIGTERM) is _nothing:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except ValueError:  # not on the main thread
        return
