"""Traces: lists, and one with all that is linked to it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from faasight_store import values
from faasight_store.connection import Store
from faasight_store.queries import logs
from faasight_store.queries.merged import SLACK_NS, merged
from faasight_store.queries.windows import hex_id, newest_first
from faasight_store.times import MINUTE, from_ns, moment, within
from faasight_store.types import LogRow, Scope, Span, SpanEvent, SpanLink, Trace, TraceRow

LINK_HOPS = 3
MOST_TRACES = 20  # opened together
MOST_LOGS = 2000
_SLOT = 5 * MINUTE  # of trace_index
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}\Z")


def find(
    store: Store,
    scope: Scope,
    *,
    function: str = "",
    failed: bool = False,
    cold: bool = False,
    min_ms: float = 0,
    limit: int = 100,
) -> list[TraceRow]:
    """Return the newest traces first."""
    conditions = ["began >= " + moment("start"), "began < " + moment("end")]
    told = ""  # by some row of a trace, or it is none of those: the most telling condition
    if function:
        conditions.append("has(names, {function:String})")
        told = "has(trace_index.services, {function:String})"
    if scope.environment:
        conditions.append("has(places, {environment:String})")
    if cold:
        conditions.append("colds > 0")
        told = "trace_index.cold_starts > 0"
    if failed:
        conditions.append("failures > 0")
        told = "trace_index.errors > 0"
    if min_ms:
        conditions.append("length_ms >= {min_ms:Float64}")
    meant = " AND ".join(conditions)
    found: dict[str, TraceRow] = {}  # one that goes on for long is seen in two ranges: its earlier start stays
    for start, end in newest_first(scope, found, limit):
        rows = store.query(
            f"""SELECT lower(hex(trace_id)), toUnixTimestamp64Nano(min(first) AS began),
                toUnixTimestamp64Nano(max(last)) AS ended, (ended - toUnixTimestamp64Nano(began)) / 1e6 AS length_ms,
                sum(spans), sum(errors) AS failures, sum(cold_starts) AS colds, min(root) AS origin,
                arraySort(groupUniqArrayArray(services)) AS names, groupUniqArrayArray(environments) AS places
            FROM trace_index
            WHERE {within("slot", "from", "to")} AND trace_id IN ({_told_by(told) if told else _newest(meant)})
            GROUP BY trace_id HAVING {meant} ORDER BY began DESC, trace_id LIMIT {{limit:UInt32}}
            SETTINGS use_skip_indexes = 0""",
            {
                "start": start, "end": end, "begin": start // _SLOT * _SLOT, "to": end + SLACK_NS,
                "from": (start - SLACK_NS) // _SLOT * _SLOT, "function": function, "environment": scope.environment,
                "min_ms": min_ms, "limit": limit - len(found),
            },
        )  # fmt: skip
        found |= {row.trace_id: row for row in map(_trace_row, rows)}
    return sorted(found.values(), key=lambda row: row.start, reverse=True)


def _told_by(row: str) -> str:
    """Return a select of the traces that may be meant, by a condition that one of their rows must meet."""
    return f"SELECT trace_id FROM trace_index WHERE {within('slot', 'begin', 'to')} AND {row}"


def _newest(meant: str) -> str:
    """Return a select of the traces that are meant, from few columns: all of each cost four times as much."""
    return f"""WITH min(first) AS began, groupUniqArrayArray(environments) AS places,
            (toUnixTimestamp64Nano(max(last)) - toUnixTimestamp64Nano(began)) / 1e6 AS length_ms
        SELECT trace_id FROM trace_index WHERE {within("slot", "from", "to")}
        GROUP BY trace_id HAVING {meant} ORDER BY began DESC, trace_id LIMIT {{limit:UInt32}}"""


def trace(store: Store, trace_id: str, limit: int = 10_000) -> Trace | None:
    """Return a trace with those linked to it in either direction; None if it is unknown.

    `trace_id` is hex of any case; ValueError if it is not 32 digits.
    """
    if not _TRACE_ID.match(trace_id):
        raise ValueError(f"a trace id is 32 hexadecimal digits, not {trace_id!r}")
    ids = _linked(store, trace_id.lower())
    times = _times(store, ids)
    if times is None:
        return None
    parameters = {"ids": ids, "start": times[0], "end": times[1]}
    cost, lines = store.beside(lambda: _cost(store, ids, times)), store.beside(lambda: _logs(store, parameters))
    spans = _spans(store, {**parameters, "limit": limit + 1})
    cost_usd, logs_of_it = cost.result(), lines.result()
    if not spans:
        return None
    return Trace(
        trace_ids=ids,
        spans=_told_once(spans[:limit]),
        logs=logs_of_it,
        cost_usd=cost_usd,
        truncated=len(spans) > limit,
    )


_AMONG = "trace_id IN (SELECT toFixedString(unhex(arrayJoin({ids:Array(String)})), 16))"


def _linked(store: Store, trace_id: str) -> list[str]:
    """Return the trace and those that links, and ids known to sender and consumer, lead to, the nearest first."""
    known = [trace_id]
    news = known
    for _ in range(LINK_HOPS):
        rows = store.query(
            f"""SELECT DISTINCT lower(hex(linked_trace_id)) AS id FROM span_links
            WHERE (NOT by_id AND {_AMONG})
               OR trace_id IN (SELECT linked_trace_id FROM span_links WHERE by_id AND {_AMONG})
            ORDER BY id LIMIT {{limit:UInt32}}""",
            {"ids": news, "limit": MOST_TRACES * 2},
        )
        news = [row[0] for row in rows if row[0] not in known][: MOST_TRACES - len(known)]
        if not news:
            break
        known = known + news
    return known


def _times(store: Store, ids: Sequence[str]) -> tuple[int, int] | None:
    """Return the range in ns that holds all spans, with room for clocks that differ; None if there are none."""
    count, first, last = store.query(
        "SELECT count(), toUnixTimestamp64Nano(min(first)), toUnixTimestamp64Nano(max(last)) FROM trace_index"
        f" WHERE {_AMONG}",
        {"ids": ids},
    )[0]
    return (first - MINUTE, last + MINUTE) if count else None


_RANGE = "ts >= fromUnixTimestamp64Nano({start:Int64}, 'UTC') AND ts <= fromUnixTimestamp64Nano({end:Int64}, 'UTC')"


def _spans(store: Store, parameters: dict[str, Any]) -> list[Span]:
    rows = store.query(
        f"""SELECT lower(hex(trace_id)), lower(hex(span_id)), lower(hex(parent_span_id)), trace_state, service, name,
            kind, start_ns, duration_ns, status, status_message, resource, attributes, scope_name,
            arrayMap(event -> (event.ns, event.name, event.attributes, event.types), events),
            arrayMap(link -> (lower(hex(link.trace_id)), lower(hex(link.span_id)),
                              arrayMap(pair -> base64Encode(pair), link.attributes)), links),
            types, JSONExtractString(origin, 'resource_types')
        FROM spans WHERE {_RANGE} AND {_AMONG}
        ORDER BY start_ns, span_id, duration_ns DESC LIMIT 1 BY trace_id, span_id LIMIT {{limit:UInt32}}""",
        parameters,
    )
    return [_span(row) for row in rows]


def _told_once(spans: list[Span]) -> list[Span]:
    """Let a start record stand for its invocation's span, under that one's id, as long as that one is missing."""
    records = [span for span in spans if span.attributes.get("faasight.phase") == "start"]
    if not records:
        return spans
    known = {(span.trace_id, span.span_id) for span in spans}
    kept = [span for span in spans if span.attributes.get("faasight.phase") != "start"]
    for record in records:
        if (record.trace_id, record.parent_span_id) not in known:
            parent_id = record.attributes.get("faasight.start.parent_id", "")
            kept.append(replace(record, span_id=record.parent_span_id, parent_span_id=parent_id))
    return sorted(kept, key=lambda span: span.start_ns)


def _span(row: Sequence[Any]) -> Span:
    *columns, resource, attributes, scope, events, links, types, resource_types = row
    columns += [values.all_shown(resource, resource_types), values.all_shown(attributes, types), scope]
    columns += [list(map(_event, events)) if events else [], list(map(_link, links)) if links else []]
    return Span(*columns)


def _event(item: Any) -> SpanEvent:  # noqa: ANN401 - the driver gives named tuples as dicts
    ns, name, attributes, types = _values(item)
    return SpanEvent(from_ns(ns), name, values.all_shown(attributes, types))


def _link(item: Any) -> SpanLink:  # noqa: ANN401 - the driver gives named tuples as dicts
    trace_id, span_id, attributes = _values(item)
    return SpanLink(trace_id, span_id, values.key_values(attributes) if attributes else {})


def _values(item: Any) -> Sequence[Any]:  # noqa: ANN401 - the driver gives named tuples as dicts
    return list(item.values()) if isinstance(item, dict) else list(item)


def _logs(store: Store, parameters: dict[str, Any]) -> list[LogRow]:
    rows = store.query(
        f"SELECT {logs.COLUMNS} FROM logs WHERE {_RANGE} AND {_AMONG} ORDER BY ts, seq LIMIT {{limit:UInt32}}",
        {**parameters, "limit": MOST_LOGS},
    )
    return [logs.row(r) for r in rows]


def _cost(store: Store, ids: Sequence[str], times: tuple[int, int]) -> float:
    source = merged(
        [times],
        columns=("cost_usd",),
        where=f"request_id IN (SELECT request_id FROM invocation_facts WHERE {_RANGE} AND {_AMONG})",
    )
    parameters = {**source.parameters, "ids": ids, "start": times[0], "end": times[1]}
    return float(store.query(f"SELECT sum(cost_usd) FROM {source.text}", parameters)[0][0])


def _trace_row(row: Sequence[Any]) -> TraceRow:
    trace_id, start, _, length_ms, spans, failures, colds, origin, names, _ = row
    root = _values(origin)
    return TraceRow(hex_id(trace_id), from_ns(start), length_ms, spans, failures, colds, root[2], root[3], names)
