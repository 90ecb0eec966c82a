"""The panel beside the waterfall: everything known of one span."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo

from dash import html
from dash.development.base_component import Component
from faasight_store.types import LogRow, Span, SpanEvent, Trace

from faasight_dashboards import format as fmt
from faasight_dashboards.components import badge, function_href, icon, link, logs_href, trace_href
from faasight_dashboards.figures.waterfall import STATUS_ERROR, is_cold

KINDS = {0: "unspecified", 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
PAYLOADS = {"faasight.event": "Event", "faasight.result": "Result"}  # JSON, where the function keeps them
MOST = 40  # attributes, events, links or lines in one section: a page stays below 500 components


def panel(trace: Trace, span_id: str, zone: tzinfo = UTC) -> Component:
    """Return the panel of a span, a hint if there is none of that id."""
    span = next((span for span in trace.spans if span.span_id == span_id), None)
    if span is None:
        return html.Div([icon("list-tree"), "Select a span"], className="trace-hint")
    lines = [line for line in trace.logs if line.span_id == span_id and line.trace_id == span.trace_id]
    plain = {name: value for name, value in span.attributes.items() if name not in PAYLOADS}
    sections = [
        _exceptions(span),
        *(_payload(title, span.attributes.get(name, "")) for name, title in PAYLOADS.items()),
        _section("Attributes", _attributes(plain), len(plain)),
        _section("Log lines", _lines(lines, zone), len(lines)),
        _section("Events", _events(span), len(_plain_events(span))),
        _section("Links", _links(span), len(span.links)),
        _section("Resource", _attributes(span.resource), len(span.resource), opened=False),
    ]
    return html.Div([_head(span), _facts(trace, span, zone), *sections, _ways(span)], className="span-panel")


def _head(span: Span) -> Component:
    marks = [_outcome(span)]
    if is_cold(span):
        marks.append(badge("Cold start", "cold", mark=True))
    return html.Div(
        [html.H2(span.name), html.Div([html.Span(span.service, className="sub"), *marks], className="row")],
        className="span-head",
    )


def _outcome(span: Span) -> Component:
    if span.attributes.get("faasight.phase") == "start":
        return badge("Has not ended", "warn", mark=True, title="It began; no end was told. It runs, or was killed.")
    return badge("Error", "error", mark=True) if span.status == STATUS_ERROR else badge("OK", "ok", mark=True)


def _facts(trace: Trace, span: Span, zone: tzinfo) -> Component:
    first = min(other.start_ns for other in trace.spans)
    started = datetime.fromtimestamp(span.start_ns / 1e9, UTC)
    facts: list[tuple[str, Component | str]] = [
        ("Kind", KINDS.get(span.kind, str(span.kind))),
        ("Started", html.Span(fmt.clock(started, zone, date=False, millis=True), title=fmt.utc(started))),
        ("After", fmt.ms((span.start_ns - first) / 1e6)),
        ("Duration", html.B(fmt.ms(span.duration_ns / 1e6))),
        ("Self time", fmt.ms(_self_ns(trace, span) / 1e6)),
    ]
    for label, attribute in (("Queue wait", "faasight.queue_wait_ms"), ("Import alone", "faasight.import.self_ms")):
        if attribute in span.attributes:
            facts.append((label, _milliseconds(span.attributes[attribute])))
    facts.append(("Span id", html.Span(span.span_id, className="mono")))
    return html.Dl([part for name, value in facts for part in (html.Dt(name), html.Dd(value))], className="kv")


def _self_ns(trace: Trace, span: Span) -> int:
    """Return how long the span ran while no child did."""
    end = span.start_ns + span.duration_ns
    covered, reached = 0, span.start_ns
    for child in trace.spans:  # by start time
        if child.parent_span_id != span.span_id or child.trace_id != span.trace_id:
            continue
        start, stop = max(child.start_ns, reached), min(child.start_ns + child.duration_ns, end)
        if stop > start:
            covered, reached = covered + stop - start, stop
    return span.duration_ns - covered


def _milliseconds(text: str) -> str:
    try:
        return fmt.ms(float(text))
    except ValueError:
        return text


def _exceptions(span: Span) -> Component | None:
    found = [event for event in span.events if event.name == "exception"]
    if not found and not span.status_message:
        return None
    told = [_exception(event) for event in found[:3]] or [html.B(span.status_message)]
    return html.Div([html.H3("Error"), *told], className="span-error")


def _exception(event: SpanEvent) -> Component:
    kind, message = event.attributes.get("exception.type", "exception"), event.attributes.get("exception.message", "")
    trace = event.attributes.get("exception.stacktrace")
    return html.Div([html.B(kind), html.Span(message), html.Pre(trace, tabIndex="0") if trace else None])


def _section(title: str, content: Component | None, count: int, *, opened: bool = True) -> Component | None:
    if not count:
        return None
    head = html.Summary([html.H3(title), html.Span(str(count), className="sub")])
    more = html.Div(f"and {count - MOST} more", className="sub") if count > MOST else None
    return html.Details([head, content, more], open=opened, className="span-section")


def _payload(title: str, text: str) -> Component | None:
    if not text:
        return None
    with suppress(ValueError, RecursionError):  # cut by a backend in between, or set by hand: shown as it is
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    head = html.Summary([html.H3(title), html.Span("masked by the function", className="sub")])
    return html.Details([head, html.Pre(text, tabIndex="0")], open=False, className="span-section span-payload")


def _attributes(values: Mapping[str, str]) -> Component:
    pairs = sorted(values.items())[:MOST]
    return html.Dl([part for name, value in pairs for part in (html.Dt(name), html.Dd(value))], className="attributes")


def _plain_events(span: Span) -> list[SpanEvent]:
    return [event for event in span.events if event.name != "exception"]


def _events(span: Span) -> Component:
    rows = []
    for event in _plain_events(span)[:MOST]:
        after = fmt.ms(event.ts.timestamp() * 1e3 - span.start_ns / 1e6)
        details = ", ".join(f"{name}={value}" for name, value in sorted(event.attributes.items()))
        rows.append(html.Li([html.Span(f"+{after}", className="mono"), html.B(event.name), html.Span(details)]))
    return html.Ul(rows)


def _links(span: Span) -> Component:
    rows = [
        html.Li(
            link(
                [icon("link"), f"{other.trace_id[:16]}… / {other.span_id}"],
                f"{trace_href(other.trace_id)}?span={other.span_id}",
                className="mono",
            )
        )
        for other in span.links[:MOST]
    ]
    return html.Ul(rows)


def _lines(lines: Sequence[LogRow], zone: tzinfo) -> Component:
    rows = [
        html.Li(
            [
                html.Span(fmt.clock(line.ts, zone, date=False, millis=True), className="mono"),
                html.B(line.level, className=f"lv-{line.level}"),
                html.Span(line.message),
            ]
        )
        for line in lines[:MOST]
    ]
    return html.Ul(rows)


def _ways(span: Span) -> Component:
    function = span.resource.get("faas.name") or span.service
    ways = [link([icon("square-function"), "Function"], function_href(function), className="pill")]
    request = span.attributes.get("faas.invocation_id")
    query = f'request_id:"{request}"' if request else f"trace_id:{span.trace_id}"
    ways.append(link([icon("scroll-text"), "Logs"], logs_href(query), className="pill"))
    return html.Div(ways, className="pills")
