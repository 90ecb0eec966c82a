"""From finished spans to the collector, without ever keeping the function waiting.

A flush writes to the socket and returns: the kernel carries the bytes on, and the answer is read in the next flush.
What was refused, or lost with a broken connection, is sent again; what cannot be sent goes to stdout, for the log path
to bring, or is kept within bounds; a circuit breaker spares the function further attempts.
"""

from __future__ import annotations

import time
from _thread import allocate_lock
from collections import deque

from faasight import encode
from faasight.complain import complaints
from faasight.fallback import Stdout
from faasight.send import Connection, GarbageError, Resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from faasight.metrics import Point
    from faasight.send import Answer
    from faasight.settings import Settings
    from faasight.spans import Span

    class Buffer(Protocol):
        """Where finished spans go."""

        def add(self, span: Span) -> None:
            """Keep a finished span for the next flush."""

    class Delivery(Buffer, Protocol):
        """A buffer that is sent."""

        points: Callable[[], list[Point]] | None
        lines: Callable[[], list[bytes]] | None

        def share(self, resource: Callable[[], bytes]) -> Buffer:
            """Return a buffer that is sent along, under a resource of its own."""

        def flush(self, budget: float) -> None:
            """Send what there is within `budget` seconds."""

        def waiting(self) -> int:
            """Return how many spans wait for the next flush."""

        def reset(self) -> None:
            """Start anew in a forked child."""

        def close(self) -> None:
            """Let go of the connection."""


TRACES, METRICS, LOGS = "/v1/traces", "/v1/metrics", "/v1/logs"
_RETRYABLE = frozenset({429, 502, 503, 504})  # OTLP 1.x, "Failures": these, and no others, may be sent again
_BAD_DATA = 400
_MAX_UNANSWERED = 16  # requests on the wire without an answer; more mean that the collector hangs
_MAX_BODY = (
    262_144  # bytes; bodies of one path are joined up to here, for protobuf messages may be merged by concatenation
)
_MAX_ATTEMPTS = 3
_MAX_SPANS = 4_096  # finished and not yet encoded
_MAX_ENCODED = 256  # spans of one body, before small ones are joined
_MAX_COOLDOWN_S = 60.0
_FALLBACK_S = 0.05  # to write to stdout, whatever the flush has used up of its own time
_GLANCE_S = 0.002  # between two looks for answers, at the process's end
_BRISK_S = 0.5  # shorter than any server's keep-alive limit


class Batch:
    """One request's body, and how often it went out in vain."""

    __slots__ = ("attempts", "body", "path", "rests")

    def __init__(self, path: str, body: bytes, attempts: int = 0) -> None:
        self.path = path
        self.body = body
        self.attempts = attempts
        self.rests = False  # a whole flush could not send it: the collector wants a pause


def _joinable(one: Batch, other: Batch) -> bool:
    """Whether two bodies may be sent as one: one that goes again stays as it is, or it would not be known again."""
    return one.path == other.path and not one.attempts and not other.attempts


class Breaker:
    """Keeps us from trying for a while after a failure, twice as long after each further one."""

    def __init__(self, cooldown: float) -> None:
        self._first = cooldown
        self._pause = cooldown
        self._until = 0.0

    def closed(self) -> bool:
        """Whether an attempt may be made now."""
        return not self._until or time.monotonic() >= self._until

    def fail(self, at_least: float = 0.0) -> None:
        """Pause; `at_least` seconds if the collector asked for it."""
        self._until = time.monotonic() + min(max(self._pause, at_least), _MAX_COOLDOWN_S)
        self._pause = min(self._pause * 2, _MAX_COOLDOWN_S)

    def succeed(self) -> None:
        """Forget earlier failures."""
        self._pause = self._first
        self._until = 0.0


class Share:
    """The finished spans of one function among several in a process: the same way out, a resource of their own."""

    __slots__ = ("add", "resource", "spans")

    def __init__(self, resource: Callable[[], bytes]) -> None:
        self.resource = resource
        self.reset()

    def reset(self) -> None:
        """Forget, in a forked child."""
        self.spans: deque[Span] = deque(maxlen=_MAX_SPANS)
        self.add = self.spans.append


class Exporter:
    """The buffer, the connection and the policy between them; safe to use from several threads."""

    def __init__(self, settings: Settings, resource: Callable[[], bytes], version: str) -> None:
        self.points: Callable[[], list[Point]] | None = None  # gives the user's metrics, and forgets them
        self.lines: Callable[[], list[bytes]] | None = None  # gives encoded log lines, a body each, and forgets them
        self.dropped = 0
        self._settings = settings
        self._shares = [Share(resource)]  # the first is that of all who have none of their own
        self._version = version
        self._stdout = Stdout() if settings.fallback == "stdout" else None
        self._resolver = Resolver()
        self._connection = Connection(settings.endpoint, settings.headers, self._resolver)
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child: the parent keeps its connection and sends its own spans."""
        self.close()
        self._resolver.forget()
        self._lock = allocate_lock()
        for share in self._shares:
            share.reset()
        self._spans = self._shares[0].spans
        self._pending: deque[Batch] = deque()
        self._pending_bytes = 0
        self._unanswered: deque[Batch] = deque()
        self._last_use = 0.0
        self._out_of_reach = False  # the last word was a failure to send, and not an answer
        self._breaker = Breaker(self._settings.cooldown)

    def linger(self, budget: float) -> None:
        """Hear the answers to what was sent, at the process's end; at most `budget` seconds.

        A server that cannot answer one request of a connection any more may never read those behind it.
        """
        deadline = time.monotonic() + budget
        while self._unanswered and time.monotonic() < deadline:
            self.flush(0.0)
            time.sleep(_GLANCE_S)
        if self._pending:  # what came back meanwhile
            self.flush(max(deadline - time.monotonic(), 0.0))
        if self._pending and self._lock.acquire(timeout=budget):
            try:
                self._fall_back(time.monotonic() + _FALLBACK_S, leaving=True)
            finally:
                self._lock.release()

    def close(self) -> None:
        """Close this process's end of the connection, without a word to the other."""
        self._connection.close()

    def add(self, span: Span) -> None:
        """Keep a finished span for the next flush; the oldest goes when there are too many."""
        self._spans.append(span)

    def waiting(self) -> int:
        """Return how many spans wait for the next flush."""
        return sum(len(share.spans) for share in self._shares)

    def share(self, resource: Callable[[], bytes]) -> Share:
        """Return a buffer that is sent along, under a resource of its own."""
        share = Share(resource)
        self._shares.append(share)
        return share

    def flush(self, budget: float) -> None:
        """Send what there is within `budget` seconds; never raises but under the `strict` setting."""
        deadline = time.monotonic() + budget
        if not self._lock.acquire(timeout=max(budget, 0.0)):
            return  # another invocation is sending; it, or the next flush, takes ours too
        try:
            self._collect()
            self._exchange(deadline)
            if self._pending:
                self._fall_back(max(deadline, time.monotonic() + _FALLBACK_S))
        except Exception as error:  # noqa: BLE001 - whatever happens here, the function's result must come back
            self._broken(error)
            complaints.failure("flush", error)
        finally:
            self._lock.release()

    def _collect(self) -> None:
        for share in self._shares:
            while share.spans:
                # In parts: one body with all that an invocation did might be larger than the whole buffer.
                count = min(len(share.spans), _MAX_ENCODED)
                spans = [share.spans.popleft() for _ in range(count)] if count > 1 else [share.spans.popleft()]
                self._keep(Batch(TRACES, encode.traces(share.resource(), spans, self._version)))
        if self.lines is not None:
            for body in self.lines():
                self._keep(Batch(LOGS, body))
        points = self.points() if self.points else []
        if points:
            self._keep(Batch(METRICS, encode.metrics(self._shares[0].resource(), points, self._version)))

    def _keep(self, batch: Batch, first: bool = False) -> None:
        (self._pending.appendleft if first else self._pending.append)(batch)
        self._pending_bytes += len(batch.body)
        while self._pending_bytes > self._settings.buffer_bytes and self._pending:
            oldest = self._pending.popleft()
            self._pending_bytes -= len(oldest.body)
            self._give_up(oldest)

    def _fall_back(self, deadline: float, leaving: bool = False) -> None:
        """Write to stdout what could not be sent: the sandbox may be frozen next, and never thawed.

        What an overloaded collector wants later waits for one more invocation in memory, and not beyond the process.
        """
        if self._stdout is None:
            return
        kept: deque[Batch] = deque()
        takes = True  # stdout, until it does not
        for batch in self._pending:
            if takes and (self._out_of_reach or leaving or batch.rests):
                takes = self._stdout.write(batch.path, batch.body, deadline)
                if takes:
                    self._pending_bytes -= len(batch.body)
                    continue
            batch.rests = True
            kept.append(batch)
        self._pending = kept

    def _give_up(self, batch: Batch) -> None:
        if self._stdout is None or not self._stdout.write(batch.path, batch.body, time.monotonic() + _FALLBACK_S):
            self.dropped += 1

    def _exchange(self, deadline: float) -> None:
        try:
            if self._connection.is_open and not self._connection.is_ours():
                self._requeue()
            if self._connection.is_open:
                idle = time.monotonic() - self._last_use
                self._read_answers(idle)
                self._leave_stale(idle)
            while self._pending and self._breaker.closed():
                self._send_one(deadline)
            if self._unanswered and (self._settings.confirm or len(self._unanswered) >= _MAX_UNANSWERED):
                self._wait(deadline)
        except OSError as error:
            self._broken(error)

    def _send_one(self, deadline: float) -> None:
        if len(self._unanswered) >= _MAX_UNANSWERED:
            self._wait(deadline)
        fresh = not self._connection.is_open
        if fresh:
            self._connection.open(deadline)
        batch = self._take()
        try:
            self._connection.send(batch.path, batch.body, deadline)
        except OSError:
            self._keep(batch, first=True)
            if fresh:
                raise
            self._requeue()  # the other end has closed the connection while we slept: once more on a new one
            return
        self._unanswered.append(batch)
        self._last_use = time.monotonic()

    def _take(self) -> Batch:
        batch = self._pending.popleft()
        batch.rests = False
        size = len(batch.body)
        if not self._pending:
            self._pending_bytes -= size
            return batch
        bodies = [batch.body]
        while self._pending and _joinable(batch, self._pending[0]) and size + len(self._pending[0].body) <= _MAX_BODY:
            following = self._pending.popleft()
            size += len(following.body)
            bodies.append(following.body)
        self._pending_bytes -= size
        batch.body = b"".join(bodies)
        return batch

    def _read_answers(self, idle: float) -> None:
        """Read what has come; a connection that was closed meanwhile gives its unanswered requests back."""
        look_for_end = idle > _BRISK_S  # servers close what is idle: only then is it worth a system call
        try:
            while (self._unanswered or look_for_end) and (answer := self._connection.read()):
                self._settle(answer)
        except GarbageError:
            raise
        except OSError:
            self._requeue()

    def _wait(self, deadline: float) -> None:
        allowed = 0 if self._settings.confirm else _MAX_UNANSWERED - 1
        while len(self._unanswered) > allowed:
            answer = self._connection.read(deadline)
            if answer is None:
                raise TimeoutError(f"no answer in {self._settings.flush_timeout} s")
            self._settle(answer)

    def _settle(self, answer: Answer) -> None:
        if not self._unanswered:
            raise GarbageError("an answer without a request")
        batch = self._unanswered.popleft()
        self._out_of_reach = False
        if 200 <= answer.status < 300:
            self._breaker.succeed()
        else:
            self._refused(batch, answer)
        if answer.close:
            self._requeue()

    def _refused(self, batch: Batch, answer: Answer) -> None:
        self._breaker.fail(answer.retry_after)
        if answer.status in _RETRYABLE:
            self._again(batch)
        elif answer.status == _BAD_DATA:
            self.dropped += 1
        else:  # a wrong token or address: the way by the log may be right
            self._give_up(batch)
        complaints.say(f"{self._settings.endpoint}{batch.path} answered {answer.status}")

    def _leave_stale(self, idle: float) -> None:
        """Close a connection that was idle for long: what stands between may have forgotten it without a word.

        Its requests were written in full and nothing bad was heard: they count as delivered, sending them again would
        double them.
        """
        if idle > self._settings.idle_limit and self._connection.is_open:
            self._unanswered.clear()
            self._connection.close()

    def _again(self, batch: Batch) -> None:
        batch.attempts += 1
        if batch.attempts < _MAX_ATTEMPTS:
            self._keep(batch, first=True)
        else:
            self._give_up(batch)

    def _requeue(self) -> None:
        self._connection.close()
        while self._unanswered:
            self._again(self._unanswered.pop())

    def _broken(self, error: Exception) -> None:
        self._requeue()
        self._resolver.forget()
        self._breaker.fail()
        self._out_of_reach = True
        meanwhile = "is kept" if self._stdout is None else "goes to stdout"
        complaints.say(f"cannot send to {self._settings.endpoint}: {error}; telemetry {meanwhile} meanwhile")
