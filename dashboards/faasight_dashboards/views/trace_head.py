"""The head of a trace's page: what it was, how it went, how long it took, what it cost."""

from datetime import UTC, datetime, tzinfo

from dash import html
from dash.development.base_component import Component
from faasight_store.types import Trace

from faasight_dashboards import format as fmt
from faasight_dashboards.components import badge, icon, link
from faasight_dashboards.figures.waterfall import summary


def head(trace: Trace, zone: tzinfo = UTC) -> Component:
    """Return the head of a trace with at least one span."""
    told = summary(trace)
    started = datetime.fromtimestamp(told.start_ns / 1e9, UTC)
    title: list[Component | None] = [
        link("Traces", "/traces", className="crumb"),
        html.Span("/", className="crumb"),
        html.H1(told.title, title=told.title),
        badge(_count(told.errors, "error"), "error", mark=True) if told.errors else None,
        badge(_count(told.cold_starts, "cold start"), "cold", mark=True) if told.cold_starts else None,
        _undone(told.undone),
        _linked(trace),
        badge("cut", "warn", mark=True, title="The trace has more spans than are shown") if trace.truncated else None,
    ]
    figures: list[Component | str] = [
        html.B(fmt.ms(told.duration_ns / 1e6)),
        f" · {_count(told.spans, 'span')} · {_count(told.services, 'service')} · depth {told.depth} · ",
        html.Span(fmt.usd(trace.cost_usd), title=f"Estimated cost of all invocations of the trace. {fmt.ABOUT_COST}"),
        " · ",
        html.Time(fmt.clock(started, zone, millis=True), dateTime=started.isoformat(), title=fmt.utc(started)),
        " · ",
        html.Span(trace.trace_ids[0], className="mono", title="Trace id"),
    ]
    return html.Div(
        [html.Div(title, className="row wrap"), html.Div(figures, className="figures")], className="trace-title"
    )


def _undone(states: int) -> Component | None:
    if not states:
        return None
    title = "States that undo what earlier ones did, after an error was caught"
    return html.Span([icon("rotate-ccw", 11), _count(states, "compensation")], className="badge b-warn", title=title)


def _linked(trace: Trace) -> Component | None:
    others = len(trace.trace_ids) - 1
    if not others:
        return None
    return html.Span(
        [icon("link", 11), f"{_count(others, 'linked trace')}"],
        className="badge b-mute",
        title="\n".join(trace.trace_ids[1:]),
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
