"""The anatomy of a cold start: when the process began, which imports were slow, and what the wrapper itself cost."""

from __future__ import annotations

import os
import time
from time import perf_counter_ns

from faasight.spans import INTERNAL, Span, now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.imports import Import, ImportWatcher
    from faasight.invocation import Invocation

INIT_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
_PROACTIVE_NS = (
    10_000_000_000  # a sandbox called later than this after its init was started ahead of need: nobody waited
)
_MAX_INIT_S = 900.0


class ColdStart:
    """Times of one process's start, in ns since the epoch."""

    def __init__(self, watcher: ImportWatcher, wrapper_began: int) -> None:
        """`wrapper_began` is the perf_counter value at the wrapper's first instruction."""
        self._watcher = watcher
        self._offset = now_ns() - perf_counter_ns()
        self.began = now_ns() - int(process_age() * 1e9)
        self.ended = 0
        self.init_type = os.environ.get(INIT_TYPE, "on-demand")
        self._wrapper_began = wrapper_began
        self._overhead = 0
        self._used = False

    def handler_begins(self) -> None:
        """Start to record: from here on the function's own code is imported."""
        self._overhead += perf_counter_ns() - self._wrapper_began
        self._watcher.recording = True

    def handler_loaded(self) -> None:
        """Stop to record: the handler is there, the init is over."""
        self._watcher.recording = False
        self._wrapper_began = perf_counter_ns()
        self.ended = now_ns()

    def ready(self) -> None:
        """Note that the wrapper has set itself up; while the function is still being loaded, that goes on."""
        if self._watcher.recording:
            return
        self._overhead += perf_counter_ns() - self._wrapper_began
        self.ended = now_ns()

    def take(self, now: int) -> bool:
        """Whether the invocation that begins `now` waited for this init; True once at most."""
        first, self._used = not self._used, True
        return first and self.init_type == "on-demand" and now - self.ended <= _PROACTIVE_NS

    def spans(self, trace_id: str, parent_id: str, invocation: Invocation | None = None) -> list[Span]:
        """Return INIT and its imports as spans of a trace."""
        attributes = {
            "faasight.phase": "init",
            "faasight.overhead_ms": self._overhead / 1e6,
            "faasight.init_type": self.init_type,
        }
        init = Span(
            "INIT", INTERNAL, trace_id, parent_id, attributes=attributes, start_ns=self.began, invocation=invocation
        )
        init.end_ns = max(self.ended, self.began)
        spans = [init]
        self._add(spans, init, self._watcher.slow)
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
