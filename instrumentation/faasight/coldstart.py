"""The anatomy of a cold start: when the process began, which imports were slow, and what the wrapper itself cost."""

from __future__ import annotations

import os
import time
from time import perf_counter_ns

from faasight.spans import INTERNAL, Span, new_trace_id, now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.imports import Import, ImportWatcher

INIT_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
# A sandbox called later than this after its init was started ahead of need: nobody waited.
_PROACTIVE_NS = 10_000_000_000
_LATE_NS = 9_000_000_000  # AWS kills an init after 10 s: shortly before, what it did so far is told
_MAX_INIT_S = 900.0


class ColdStart:
    """Times of one process's start, in ns since the epoch."""

    def __init__(self, watcher: ImportWatcher) -> None:
        self._watcher = watcher
        self._offset = now_ns() - perf_counter_ns()
        self.began = now_ns() - int(process_age() * 1e9)
        self.ended = 0
        self.init_type = os.environ.get(INIT_TYPE, "on-demand")
        self._restored_from = 0  # when the hooks after a restore began; 0: this process runs since its init
        self._overhead = 0  # ns of our own
        self._first = [True]  # popped by the first invocation
        self._waited = False  # whether an invocation waited for this start
        self.untold = [True]  # popped by who tells of it

    def spend(self, since: int) -> None:
        """Count what we have done since `since` (perf_counter ns) as our own; the start has come so far."""
        self._overhead += perf_counter_ns() - since
        self.ended = now_ns()

    def handler_begins(self) -> None:
        """Start to record: from here on the function's own code is imported."""
        self._watcher.recording = True
        if self.init_type == "on-demand":
            self._watcher.late_at = perf_counter_ns() + _LATE_NS - (now_ns() - self.began)

    def handler_loaded(self) -> None:
        """Stop to record: the handler is there, the init is over."""
        self._watcher.recording = False
        self.ended = now_ns()

    def restore_begins(self) -> None:
        """Note that the process runs again, in a new sandbox: its init was another one's, long ago."""
        self._restored_from = self.ended = now_ns()

    def restored(self) -> None:
        """Note that the function's own hooks have run."""
        self.ended = now_ns()

    def take(self, now: int) -> tuple[bool, bool]:
        """Whether the invocation that begins `now` waited for this start, and whether it came long before the need.

        True once at most.
        """
        if not self._first:
            return False, False
        try:
            self._first.pop()  # one step under the GIL: of several first ones at once, one is cold
        except IndexError:
            return False, False
        if self.init_type != "on-demand" and not self._restored_from:
            return False, False  # provisioned, or a managed instance: it was there before it was asked for
        ahead = now - self.ended > _PROACTIVE_NS
        self._waited = not ahead
        return not ahead, ahead

    def story(self, invocation: Span, cold: bool) -> list[Span]:
        """Return the spans of this start, once: in the trace of the invocation that waited for it.

        What nobody waited for has a trace of its own, with a link to the first invocation: no time of a user's request,
        and yet its imports are what a larger pool, or the next cold start, costs.
        """
        if self.init_type == "snap-start" and not self._restored_from:
            return []  # the init of a snapshot, long ago
        if self._waited and not cold:
            return []  # of several first ones at once, one was cold
        try:
            self.untold.pop()  # one step under the GIL
        except IndexError:
            return []
        if cold:
            return self.spans(invocation.trace_id, invocation.span_id)
        spans = self.spans(new_trace_id(), "")
        spans[0].links.append((invocation.trace_id, invocation.span_id, ""))
        return spans

    def spans(self, trace_id: str, parent_id: str) -> list[Span]:
        """Return INIT and its imports as spans of a trace; RESTORE alone for a sandbox that came from a snapshot."""
        restored = self._restored_from
        attributes: dict[str, object] = {
            "faasight.phase": "restore" if restored else "init",
            "faasight.init_type": self.init_type,
        }
        if not restored:  # nobody waits for the init that a snapshot was made of
            attributes["faasight.overhead_ms"] = self._overhead / 1e6
        start = Span(
            "RESTORE" if restored else "INIT",
            INTERNAL,
            trace_id,
            parent_id,
            attributes=attributes,
            start_ns=restored or self.began,
        )
        start.end_ns = max(self.ended, start.start_ns)
        spans = [start]
        if not restored:
            self._add(spans, start, self._watcher.slow)
        return spans

    def _add(self, spans: list[Span], parent: Span, imports: list[Import]) -> None:
        for record in imports:
            attributes = {
                "faasight.phase": "import",
                "faasight.import.module": record.module,
                "faasight.import.self_ms": record.self_ns / 1e6,
            }
            start = record.start + self._offset
            span = Span(
                f"import {record.module}",
                INTERNAL,
                parent.trace_id,
                parent.span_id,
                attributes=attributes,
                start_ns=start,
            )
            span.end_ns = record.end + self._offset
            span.span_id = record.span_id = record.span_id or span.span_id  # the same if it is told twice
            spans.append(span)
            self._add(spans, span, record.children)


def process_age() -> float:
    """Seconds since this process was started; 0.0 where the system does not tell (10 ms resolution)."""
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - pathlib would be imported for this line alone
            fields = file.read().rpartition(b")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): field 22, counted from 1 before the name
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
    return age if 0.0 < age < _MAX_INIT_S else 0.0
