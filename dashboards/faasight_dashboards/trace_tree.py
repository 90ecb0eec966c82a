"""The shape of a trace: which span hangs below which, over linked traces too, and its critical path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faasight_store.types import Span, Trace

Interval = tuple[int, int]  # ns since the epoch


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the waterfall: a span, or a log line below its span."""

    depth: int
    parent: int  # row, -1 for a root
    span: int = -1  # index into Trace.spans
    log: int = -1  # index into Trace.logs
    linked: bool = False  # hangs where it does by a link, not as a child


@dataclass(frozen=True, slots=True)
class Tree:
    """Parents as indexes into the spans (-1: root), and which of them come from a link."""

    parents: Sequence[int]
    linked: frozenset[int]
    children: Sequence[Sequence[int]]  # by start time
    roots: Sequence[int]


def tree(spans: Sequence[Span]) -> Tree:
    """Return how spans hang together: below their parent, else below the first span they link to.

    So the work of a queue's consumer stands below the sending. Spans that are their own ancestors are cut apart.
    """
    index = {(span.trace_id, span.span_id): i for i, span in reversed(list(enumerate(spans)))}
    parents, linked = [], set()
    for i, span in enumerate(spans):
        parent = index.get((span.trace_id, span.parent_span_id), -1) if span.parent_span_id else -1
        if parent < 0:
            parent = next(
                (index[link.trace_id, link.span_id] for link in span.links if (link.trace_id, link.span_id) in index),
                -1,
            )
            if parent >= 0:
                linked.add(i)
        parents.append(parent)
    _cut_cycles(parents)
    children: list[list[int]] = [[] for _ in spans]
    roots: list[int] = []
    for i in sorted(range(len(spans)), key=lambda i: (spans[i].start_ns, i)):
        (children[parents[i]] if parents[i] >= 0 else roots).append(i)
    return Tree(parents, frozenset(i for i in linked if parents[i] >= 0), children, roots)


def _cut_cycles(parents: list[int]) -> None:
    state = [0] * len(parents)  # 0 new, 1 on the way up, 2 known to end at a root
    for start in range(len(parents)):
        way, i = [], start
        while i >= 0 and state[i] == 0:
            state[i] = 1
            way.append(i)
            i = parents[i]
        if i >= 0 and state[i] == 1:
            parents[i] = -1
        for passed in way:
            state[passed] = 2


def rows(trace: Trace, shape: Tree) -> list[Row]:
    """Return all rows in the order they are read: below each span its log lines and children, by time."""
    logs = _logs_by_span(trace, shape)
    found: list[Row] = []
    # Each entry: time, kind (a log goes before a span of the same time), index, depth, parent's row.
    waiting = [(i, 0, -1) for i in reversed(shape.roots)]
    while waiting:
        item, depth, parent = waiting.pop()
        if item < 0:
            found.append(Row(depth, parent, log=-item - 1))
            continue
        row = len(found)
        found.append(Row(depth, parent, span=item, linked=item in shape.linked))
        below = [(trace.logs[log].ts_ns, -log - 1) for log in logs.get(item, ())]
        below += [(trace.spans[child].start_ns, child) for child in shape.children[item]]
        waiting += [(entry, depth + 1, row) for _, entry in sorted(below, reverse=True)]
    return found


def _logs_by_span(trace: Trace, shape: Tree) -> Mapping[int, Sequence[int]]:
    """Return the log lines of each span: by span id, else by request id, else below the first root."""
    by_id = {(span.trace_id, span.span_id): i for i, span in enumerate(trace.spans)}
    by_request = {
        span.attributes["faas.invocation_id"]: i
        for i, span in enumerate(trace.spans)
        if span.attributes.get("faas.invocation_id")
    }
    found: dict[int, list[int]] = {}
    for i, line in enumerate(trace.logs):
        span = by_id.get((line.trace_id, line.span_id))
        if span is None:
            span = by_request.get(line.request_id, shape.roots[0] if shape.roots else None)
        if span is not None:
            found.setdefault(span, []).append(i)
    return found


def critical_path(spans: Sequence[Span], shape: Tree) -> dict[int, list[Interval]]:
    """Return, for each span that the end of its tree waited for, when it was that span itself that was waited for.

    From the last end backwards: whoever ended last before that moment was waited for. Asynchronous children may outlive
    their parents, so that a subtree's end counts, not the span's own.
    """
    ends = _subtree_ends(spans, shape)
    path: dict[int, list[Interval]] = {}
    waiting = list(shape.roots)
    while waiting:
        span = waiting.pop()
        cursor = ends[span]
        own: list[Interval] = []
        for child in sorted(shape.children[span], key=lambda child: (ends[child], spans[child].start_ns), reverse=True):
            if ends[child] > cursor:
                continue  # it ran beside what was waited for
            own.append((ends[child], cursor))
            cursor = spans[child].start_ns
            waiting.append(child)
        own.append((spans[span].start_ns, cursor))
        path[span] = [(start, end) for start, end in reversed(own) if end > start]
    return path


def _subtree_ends(spans: Sequence[Span], shape: Tree) -> list[int]:
    """Return when each span and all below it had ended."""
    order = list(shape.roots)
    for span in order:  # grows while it is read: parents before children
        order += shape.children[span]
    ends = [span.start_ns + span.duration_ns for span in spans]
    for span in reversed(order):
        parent = shape.parents[span]
        if parent >= 0:
            ends[parent] = max(ends[parent], ends[span])
    return ends
