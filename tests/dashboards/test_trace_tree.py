"""The shape of a trace: parents, links over queues, log lines in their place, the critical path."""

from datetime import UTC, datetime

from faasight_dashboards.trace_tree import critical_path, rows, tree
from faasight_store.types import LogRow, Span, SpanLink, Trace

MS = 1_000_000
A, B = "a" * 32, "b" * 32


def span(name: str, parent: str, start: int, end: int, trace: str = A, links: tuple[tuple[str, str], ...] = ()) -> Span:
    """Return a span from `start` to `end` in ms; its id is its name."""
    return Span(
        trace_id=trace,
        span_id=name,
        parent_span_id=parent,
        trace_state="",
        service="shop",
        name=name,
        kind=1,
        start_ns=start * MS,
        duration_ns=(end - start) * MS,
        status=0,
        status_message="",
        resource={},
        attributes={"faas.invocation_id": f"request-{name}"},
        scope_name="",
        links=[SpanLink(trace_id, span_id, {}) for trace_id, span_id in links],
    )


def line(message: str, at: int, span_id: str = "", request_id: str = "", trace: str = A) -> LogRow:
    return LogRow(
        datetime.fromtimestamp(at / 1000, UTC), at * MS, "INFO", "shop", message, request_id, trace, span_id, {}
    )


def reading(spans: list[Span], logs: list[LogRow] | None = None) -> list[tuple[int, str]]:
    """Return depth and name of each row."""
    trace = Trace([A], spans, logs or [], 0.0, truncated=False)
    return [
        (row.depth, trace.spans[row.span].name if row.span >= 0 else f"log {trace.logs[row.log].message}")
        for row in rows(trace, tree(spans))
    ]


def path(spans: list[Span]) -> dict[str, list[tuple[float, float]]]:
    """Return the critical path by name, in ms."""
    found = critical_path(spans, tree(spans))
    return {spans[i].name: [(a / MS, b / MS) for a, b in intervals] for i, intervals in found.items()}


def test_children_stand_below_their_parent_by_time() -> None:
    spans = [
        span("root", "", 0, 100),
        span("late", "root", 50, 60),
        span("early", "root", 10, 20),
        span("in", "early", 12, 15),
    ]
    assert reading(spans) == [(0, "root"), (1, "early"), (2, "in"), (1, "late")]


def test_the_consumer_of_a_queue_stands_below_the_sending_it_links_to() -> None:
    spans = [
        span("root", "", 0, 50),
        span("send", "root", 10, 12),
        span("process", "", 400, 500, B, links=((A, "send"),)),
    ]
    assert reading(spans) == [(0, "root"), (1, "send"), (2, "process")]
    assert tree(spans).linked == {2}


def test_a_parent_comes_before_a_link() -> None:
    spans = [span("root", "", 0, 50), span("other", "", 0, 1), span("child", "root", 1, 2, links=((A, "other"),))]
    assert tree(spans).parents == [-1, -1, 0]
    assert not tree(spans).linked


def test_a_span_whose_parent_never_came_is_a_root() -> None:
    assert reading([span("orphan", "missing", 0, 1)]) == [(0, "orphan")]


def test_the_same_span_id_in_two_traces_is_two_spans() -> None:
    spans = [span("x", "", 0, 10), span("x", "", 20, 30, B), span("child", "x", 21, 22, B)]
    assert tree(spans).parents == [-1, -1, 1]


def test_spans_that_are_their_own_ancestors_lose_nobody() -> None:
    spans = [span("a", "c", 0, 1), span("b", "a", 1, 2), span("c", "b", 2, 3), span("self", "self", 4, 5)]
    assert sorted(name for _, name in reading(spans)) == ["a", "b", "c", "self"]


def test_links_in_a_circle_lose_nobody() -> None:
    spans = [span("a", "", 0, 1, links=((B, "b"),)), span("b", "", 0, 1, B, links=((A, "a"),))]
    assert sorted(name for _, name in reading(spans)) == ["a", "b"]


def test_log_lines_stand_where_they_were_written() -> None:
    spans = [span("root", "", 0, 100), span("call", "root", 20, 40)]
    logs = [line("first", 5, "root"), line("inside", 30, "call"), line("last", 50, "root")]
    assert reading(spans, logs) == [(0, "root"), (1, "log first"), (1, "call"), (2, "log inside"), (1, "log last")]


def test_a_log_line_without_a_span_stands_below_its_invocation() -> None:
    spans = [span("root", "", 0, 100), span("other", "root", 10, 90)]
    logs = [line("by request", 50, request_id="request-other"), line("by nothing", 60)]
    assert reading(spans, logs) == [(0, "root"), (1, "other"), (2, "log by request"), (1, "log by nothing")]


def test_a_deep_trace_needs_no_recursion() -> None:
    spans = [span("0", "", 0, 5000), *(span(str(i), str(i - 1), i, 5000) for i in range(1, 3000))]
    assert reading(spans)[-1] == (2999, "2999")
    assert len(path(spans)) == 3000


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    spans = [span("root", "", 0, 100), span("fast", "root", 10, 30), span("slow", "root", 10, 80)]
    assert path(spans) == {"root": [(0, 10), (80, 100)], "slow": [(10, 80)]}


def test_the_critical_path_goes_on_through_what_came_before() -> None:
    spans = [
        span("root", "", 0, 100),
        span("one", "root", 10, 40),
        span("two", "root", 40, 90),
        span("deep", "two", 50, 60),
    ]
    assert path(spans) == {
        "root": [(0, 10), (90, 100)],
        "one": [(10, 40)],
        "two": [(40, 50), (60, 90)],
        "deep": [(50, 60)],
    }


def test_the_critical_path_follows_a_message_beyond_the_end_of_its_sender() -> None:
    spans = [
        span("root", "", 0, 50),
        span("send", "root", 10, 12),
        span("process", "", 400, 500, B, links=((A, "send"),)),
    ]
    assert path(spans)["process"] == [(400, 500)]
    assert path(spans)["root"] == [(0, 10)]


def test_an_init_before_its_invocation_is_on_the_path() -> None:
    spans = [span("INIT", "root", 0, 300), span("root", "", 300, 400)]
    assert path(spans)["INIT"] == [(0, 300)]
    assert path(spans)["root"] == [(300, 400)]
