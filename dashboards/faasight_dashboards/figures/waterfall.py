"""A trace as the browser draws it (assets/clientside/waterfall.js): columns instead of rows, a quarter of the size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from faasight_store.types import LogRow, Span, Trace

from faasight_dashboards.trace_tree import Row, Tree, critical_path, rows, tree

# Bits of `flags`; assets/clientside/trace_model.js reads them.
ERROR, COLD, INIT, LINKED, LOG, WARN, WAIT, UNDO = 1, 2, 4, 8, 16, 32, 64, 128

STATUS_ERROR = 2
CONSUMER = 5
LONGEST_MESSAGE = 400  # of a log line in the waterfall; the panel and the logs page show all

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the head of a trace's page says."""

    title: str
    start_ns: int
    duration_ns: int
    spans: int
    services: int
    depth: int
    errors: int
    cold_starts: int
    queue_waits: int
    undone: int  # states of a workflow that undo what was done before


def waterfall(trace: Trace, selected: str = "") -> Columns:
    """Return the columns of a trace with at least one span; times in µs from its first start, `selected` a span id."""
    shape = tree(trace.spans)
    table = rows(trace, shape)
    return _Columns(trace, shape, table).build() | {"selected": selected, "trace": trace.trace_ids[0]}


def summary(trace: Trace) -> Summary:
    """Return what a trace with at least one span amounts to."""
    shape = tree(trace.spans)
    start = min(span.start_ns for span in trace.spans)
    root = trace.spans[shape.roots[0]]
    return Summary(
        title=root.name,
        start_ns=start,
        duration_ns=max(span.start_ns + span.duration_ns for span in trace.spans) - start,
        spans=len(trace.spans),
        services=len({span.service for span in trace.spans}),
        depth=1 + max(row.depth for row in rows(Trace(trace.trace_ids, trace.spans, (), 0, truncated=False), shape)),
        errors=sum(span.status == STATUS_ERROR for span in trace.spans),
        cold_starts=sum(is_cold(span) for span in trace.spans),
        queue_waits=sum(bool(_number(span.attributes.get("faasight.queue_wait_ms"))) for span in trace.spans),
        undone=sum(is_compensation(span) for span in trace.spans),
    )


def is_cold(span: Span) -> bool:
    """Tell whether a span is an invocation that waited for its own init."""
    return span.attributes.get("faas.coldstart", "").lower() in ("true", "1")


def is_compensation(span: Span) -> bool:
    """Tell whether a span is a state that is reached only because an error was caught."""
    return span.attributes.get("faasight.step") == "compensation"


class _Columns:
    """Turns rows into columns; services and names are sent once and then by number."""

    def __init__(self, trace: Trace, shape: Tree, table: Sequence[Row]) -> None:
        self._trace = trace
        self._table = table
        self._start = min(span.start_ns for span in trace.spans)
        self._services: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._path = critical_path(trace.spans, shape)
        self._parents = shape.parents
        self._drawn = {  # whose wait is a span of its own
            (span.trace_id, span.parent_span_id)
            for span in trace.spans
            if span.attributes.get("faasight.phase") == "wait"
        }

    def build(self) -> Columns:
        """Return all columns."""
        columns: Columns = {
            name: [] for name in ("id", "start", "length", "depth", "parent", "service", "name", "flags")
        }
        sparse: Columns = {"events": {}, "critical": {}, "wait": {}}
        for i, row in enumerate(self._table):
            cells = (
                self._log(self._trace.logs[row.log]) if row.span < 0 else self._span(self._trace.spans[row.span], row)
            )
            for name, value in {**cells, "depth": row.depth, "parent": row.parent}.items():
                columns[name].append(value)
            if row.span >= 0:
                self._extras(i, row.span, sparse)
        return {**columns, **sparse, "services": list(self._services), "names": list(self._names)}

    def _span(self, span: Span, row: Row) -> dict[str, Any]:
        foreign = row.linked or span.trace_id != self._trace.trace_ids[0]
        flags = ERROR * (span.status == STATUS_ERROR) | COLD * is_cold(span)
        flags |= INIT * (span.attributes.get("faasight.phase") in ("init", "import", "restore"))
        flags |= WAIT * (span.attributes.get("faasight.phase") == "wait")
        flags |= UNDO * is_compensation(span)
        flags |= LINKED * (foreign and (row.linked or row.parent < 0))
        return {
            "id": span.span_id,
            "start": self._us(span.start_ns),
            "length": round(span.duration_ns / 1000, 1),
            "service": self._number(self._services, span.service),
            "name": self._number(self._names, span.name),
            "flags": flags,
        }

    def _log(self, line: LogRow) -> dict[str, Any]:
        flags = LOG | ERROR * (line.level in ("ERROR", "FATAL")) | WARN * (line.level == "WARN")
        return {
            "id": "",
            "start": max(0.0, self._us(line.ts_ns)),  # clocks differ: a line may claim to be older than its trace
            "length": 0,
            "service": self._number(self._services, line.function),
            "name": self._number(self._names, line.message[:LONGEST_MESSAGE]),
            "flags": flags,
        }

    def _extras(self, row: int, index: int, sparse: Columns) -> None:
        span = self._trace.spans[index]
        if span.events:
            sparse["events"][row] = [[self._us(_ns(event.ts)), event.name] for event in span.events]
        if self._path.get(index):
            sparse["critical"][row] = [self._us(edge) for interval in self._path[index] for edge in interval]
        sent = None
        if (span.trace_id, span.span_id) not in self._drawn:
            sent = self._sent_ns(span, self._parents[index])
        if sent is not None and sent < span.start_ns:
            sparse["wait"][row] = max(0, self._us(sent))

    def _sent_ns(self, span: Span, parent: int) -> int | None:
        """Return when the message was sent that a span works on, None if it works on none."""
        wait_ms = _number(span.attributes.get("faasight.queue_wait_ms"))
        if wait_ms:
            return span.start_ns - round(wait_ms * 1e6)
        if span.kind != CONSUMER or parent < 0:
            return None
        sender = self._trace.spans[parent]
        return sender.start_ns + sender.duration_ns

    def _us(self, ns: int) -> float:
        return round((ns - self._start) / 1000, 1)

    @staticmethod
    def _number(known: dict[str, int], text: str) -> int:
        return known.setdefault(text, len(known))


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
