"""The parts of the overview."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from dash import html
from dash.development.base_component import Component
from faasight_store.types import AlertInstance, FunctionRow, Scope, Series, TelemetryHealth, Totals

from faasight_dashboards import format as fmt
from faasight_dashboards.components import Content, badge, dot, empty, function_link, link, moment, table
from faasight_dashboards.theme import BRAND, THROTTLE, WARN
from faasight_dashboards.views.cards import Kpi, change, ranking
from faasight_dashboards.views.health import RANK, error_share, health, share
from faasight_dashboards.views.kpis import Notes, figures

MOST_REASONS = 3
MOST_ROWS = 6
MOST_TILES = 25

_SEVERITY = {"critical": "error", "warning": "warn", "info": "mute"}
_STATE_ORDER = {"firing": 0, "recovering": 1, "pending": 2}
_MONTH_S = 30 * 86400


def kpis(now: Totals, before: Totals, series: Series, scope: Scope, throttled: int) -> list[Component]:
    """Return the six figures that say how things are; `throttled` is the number of functions that were."""
    month = now.cost_usd / scope.seconds * _MONTH_S
    notes = Notes(
        errors=_count(now.errors, "error"),
        p95=f"p50 {fmt.ms(now.p50_ms)}",
        cold_starts=_count(now.cold_starts, "cold start"),
        cost=f"{fmt.usd(month)}/mo",
    )
    throttles = Kpi(
        "Throttles",
        fmt.number(now.throttles),
        _count(throttled, "function"),
        "ban",
        THROTTLE,
        change(now.throttles, before.throttles),
        "bad",
        series.throttles,
    )
    return figures(now, before, series, scope, notes, throttles)


def attention(rows: Sequence[FunctionRow], scope: Scope) -> Component:
    """Return the functions with the most failed and throttled requests."""
    if not rows:
        return empty("No function ran in this range", "Choose a longer range, or another environment.")
    worst = sorted(
        rows, key=lambda row: (RANK[health(row).status], -row.totals.errors - row.totals.throttles, row.function)
    )
    return table(
        ("Function", "Rate", "Errors", "Throttles", "p95", "Cold"),
        [_attention_row(row, scope) for row in worst[:MOST_ROWS]],
        right=(1, 2, 3, 4, 5),
    )


def alerts(instances: Sequence[AlertInstance], now: datetime, zone: tzinfo) -> Component:
    """Return what is firing or pending."""
    if not instances:
        return empty("Nothing is firing", "All rules are at rest.", "circle-check")
    ordered = sorted(
        instances, key=lambda alert: (_STATE_ORDER.get(alert.state, 9), RANK.get(_SEVERITY.get(alert.severity, ""), 9))
    )
    return html.Div(
        html.Table(html.Tbody([_alert_row(alert, now, zone) for alert in ordered[:MOST_ROWS]]), className="tbl"),
        className="tblwrap",
    )


def tiles(rows: Sequence[FunctionRow]) -> Component:
    """Return a tile for each function, the worst first."""
    if not rows:
        return empty("No functions yet")
    ordered = sorted(rows, key=lambda row: (RANK[health(row).status], -error_share(row), row.function))
    shown = [_tile(row) for row in ordered[:MOST_TILES]]
    if len(ordered) > MOST_TILES:
        shown.append(
            link([f"+ {len(ordered) - MOST_TILES}", html.Small("all functions")], "/functions", className="rest")
        )
    return html.Div(shown, className="tiles")


def costs(rows: Sequence[FunctionRow]) -> Component:
    """Return the functions that cost most."""
    top = sorted(
        ((row.function, row.totals.cost_usd) for row in rows if row.totals.cost_usd), key=lambda pair: -pair[1]
    )
    if not top:
        return empty("No cost known", "Cost needs the duration and memory of invocations.")
    return ranking(top[:MOST_ROWS], fmt.usd, WARN)


def slowest(rows: Sequence[FunctionRow]) -> Component:
    """Return the functions with the longest p95; lengths are logarithmic."""
    top = sorted(
        ((row.function, row.totals.p95_ms) for row in rows if row.totals.p95_ms is not None), key=lambda pair: -pair[1]
    )
    if not top:
        return empty("No durations yet")
    return ranking(top[:MOST_ROWS], fmt.ms, BRAND, math.log1p)


def telemetry(figures: TelemetryHealth, scope: Scope, now: datetime, zone: tzinfo) -> Component:
    """Return how well telemetry itself arrives."""
    lost = figures.rejected + figures.dead_letters
    status = (
        badge("losing data", "error", mark=True)
        if figures.dead_letters
        else badge("rejecting some", "warn", mark=True)
        if lost
        else badge("all stored", "ok", mark=True)
    )
    last = moment(figures.last_received, now, zone) if figures.last_received else "never"
    facts: tuple[tuple[str, Content], ...] = (
        (
            "Accepted",
            [f"{fmt.number(figures.accepted)} requests", html.Small(fmt.rate(figures.accepted, scope.seconds))],
        ),
        ("Size", fmt.size(figures.bytes)),
        ("Rejected", [f"{figures.rejected:,}", html.Small(_reasons(figures.reasons))]),
        ("Dead letters", f"{figures.dead_letters:,}"),
        ("Lag to table", [_seconds(figures.lag_p50_s), html.Small(f"longest {_seconds(figures.lag_max_s)}")]),
        ("Journal", fmt.size(figures.journal_bytes)),
        ("Last received", last),
        ("State", status),
    )
    return html.Div(
        [html.Div([html.Span(name, className="muted"), html.B(value)]) for name, value in facts], className="facts"
    )


def _reasons(counts: Mapping[str, int]) -> str:
    """Return why requests were refused, the commonest first: "too large 3, corrupt json 1"."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    told = [f"{reason.replace('_', ' ')} {number:,}" for reason, number in ranked[:MOST_REASONS]]
    return ", ".join([*told, "..."] if len(ranked) > MOST_REASONS else told)


def _attention_row(row: FunctionRow, scope: Scope) -> Component:
    totals, verdict = row.totals, health(row)
    name = html.Span(
        [dot(verdict.status), function_link(row.function, className="strong")],
        className="row",
        title="; ".join(verdict.reasons),
    )
    failed = error_share(row)
    return html.Tr(
        [
            html.Td(name),
            html.Td(fmt.rate(totals.invocations, scope.seconds), className="r"),
            html.Td(fmt.percent(failed), className="r err" if verdict.status == "error" else "r"),
            html.Td(fmt.number(totals.throttles) if totals.throttles else fmt.NONE, className="r"),
            html.Td(fmt.ms(totals.p95_ms), className="r"),
            html.Td(fmt.percent(share(totals.cold_starts, totals)), className="r"),
        ]
    )


def _alert_row(alert: AlertInstance, now: datetime, zone: tzinfo) -> Component:
    function = alert.labels.get("function", "")
    kind = _SEVERITY.get(alert.severity, "mute")
    return html.Tr(
        [
            html.Td(badge(alert.severity.capitalize(), kind, mark=True)),
            html.Td(html.Span(alert.rule, className="strong", title=alert.condition)),
            html.Td(
                function_link(function, className="mono") if function else html.Span(_labels(alert), className="mono")
            ),
            html.Td(
                html.Time(
                    f"{alert.state} {fmt.span((now - alert.since).total_seconds())}",
                    dateTime=alert.since.isoformat(),
                    title=f"since {fmt.clock(alert.since, zone)}\n{fmt.utc(alert.since)}",
                ),
                className="r muted",
            ),
        ]
    )


def _labels(alert: AlertInstance) -> str:
    return ", ".join(f"{name}={value}" for name, value in alert.labels.items())


def _tile(row: FunctionRow) -> Component:
    verdict = health(row)
    figures = html.Small(f"{fmt.percent(error_share(row))} · {fmt.ms(row.totals.p95_ms)}")
    return function_link(
        row.function,
        [row.function, figures],
        className=verdict.status,
        title="\n".join([row.function, verdict.word, *verdict.reasons]),
    )


def _seconds(value: float | None) -> str:
    return fmt.ms(None if value is None else value * 1000)


def _count(count: int, noun: str) -> str:
    return f"{fmt.number(count)} {noun}" + ("" if count == 1 else "s")
