"""The parts of a function's page."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from dash import html
from dash.development.base_component import Component
from faasight_store.types import ColdStarts, ErrorGroup, FunctionRow, ImportCost, Invocation, Scope, Series, Totals

from faasight_dashboards import format as fmt
from faasight_dashboards.components import Item, badge, empty, link, logs_href, moment, table, trace_href
from faasight_dashboards.theme import BRAND
from faasight_dashboards.views.cards import Kpi
from faasight_dashboards.views.clouds import cloud
from faasight_dashboards.views.health import health
from faasight_dashboards.views.kpis import Notes, figures

MOST_IMPORTS = 10

_INIT_TYPES = {
    "on-demand": "On demand",
    "provisioned-concurrency": "Provisioned",
    "snap-start": "SnapStart",
    "lambda-managed-instances": "Managed instances",
}
_OUTCOMES = {
    "ok": ("ok", "OK"),
    "error": ("error", "Error"),
    "timeout": ("error", "Timed out"),
    "out_of_memory": ("error", "Out of memory"),
    "init_error": ("error", "Init failed"),
    "throttled": ("throttle", "Throttled"),
    "lost": ("warn", "Lost"),
    "running": ("mute", "Running"),
    "warm_up": ("mute", "Keep-warm ping"),
}


def badges(row: FunctionRow, now: datetime, zone: tzinfo) -> list[Component]:
    """Return the verdict and the facts of a function."""
    verdict = health(row)
    facts = [
        row.runtime,
        row.architecture,
        row.region,
        f"version {row.version}" if row.version else "",
        f"{row.memory_mb:.0f} MB" if row.memory_mb else "",
    ]
    if row.timeout_ms:
        facts.append(f"time-out {fmt.ms(row.timeout_ms)}, longest {fmt.ms(row.max_ms)}")
    seen = html.Span(["seen ", moment(row.last_seen, now, zone)], className="muted")
    return [
        badge(verdict.word, verdict.status, mark=True, title="\n".join(verdict.reasons) or None),
        *filter(None, [cloud(row)]),
        *(badge(fact) for fact in facts if fact),
        seen,
    ]


def kpis(row: FunctionRow, before: Totals, series: Series, cold: ColdStarts, scope: Scope) -> list[Component]:
    """Return the six figures of a function."""
    now = row.totals
    notes = Notes(
        errors=f"{now.errors:,} failed",
        p95=f"p99 {fmt.ms(now.p99_ms)}",
        cold_starts=f"init p95 {fmt.ms(cold.p95_ms)}",
        cost=f"{fmt.usd(now.cost_usd / now.invocations * 1e6)}/M" if now.invocations else "",
    )
    given = f"of {row.memory_mb:.0f} MB" if row.memory_mb else ""
    used = fmt.megabytes(row.memory_used_mb)
    memory = Kpi("Memory", used, given, "memory-stick", BRAND, None, "", series.memory_used_mb)
    return figures(now, before, series, scope, notes, memory)


def unknown(name: str) -> Component:
    """Return what to show for a function that did not run in the range."""
    hint: list[Item] = ["Choose a longer range, or see ", link("all functions", "/functions", className="more"), "."]
    return html.Div(empty(f"{name} did not run in this range", hint, "square-function"), className="card")


def anatomy(cold: ColdStarts) -> Component:
    """Return where the time of cold starts goes: by kind of init, then by import."""
    pings = [("Keep-warm pings", f"{cold.pings:,}")] if cold.pings else []
    if not cold.count and not cold.imports:
        nothing = empty("No cold starts in this range", "Every invocation found a warm sandbox.", "snowflake")
        return html.Div([_facts(pings), nothing]) if pings else nothing
    facts = [
        ("Cold starts", f"{cold.count:,}"),
        ("Share", fmt.percent(cold.share)),
        ("Init p50", fmt.ms(cold.p50_ms)),
        ("Init p95", fmt.ms(cold.p95_ms)),
        ("Wrapper's own", fmt.ms(cold.overhead_ms)),
        *pings,
    ]
    kinds = html.Div(
        [
            badge(f"{_INIT_TYPES.get(kind, kind or 'unknown')} · {count:,}", "cold")
            for kind, count in cold.by_init_type.items()
        ],
        className="row wrap kinds",
    )
    return html.Div([_facts(facts), kinds, _imports(cold.imports)])


def _facts(facts: Sequence[tuple[str, str]]) -> Component:
    return html.Div(
        [html.Div([html.Span(name, className="muted"), html.B(value)]) for name, value in facts], className="facts"
    )


def errors(groups: Sequence[ErrorGroup], now: datetime, zone: tzinfo) -> Component:
    """Return failures grouped by type and message, each with an example."""
    if not groups:
        return empty("No errors in this range", None, "circle-check")
    return table(
        ("Exception", "Message", "Count", "First seen", "Last seen", ""),
        [_error_row(group, now, zone) for group in groups],
        right=(2,),
    )


def invocations(rows: Sequence[Invocation], zone: tzinfo) -> Component:
    """Return the newest invocations, each with its trace."""
    if not rows:
        return empty("No invocations in this range")
    heads = ("Time", "Outcome", "Duration", "Memory", "Trigger", "Queue wait", "Request", "")
    return table(heads, [_invocation_row(row, zone) for row in rows], right=(2, 3, 5))


def _imports(imports: Sequence[ImportCost]) -> Component:
    if not imports:
        return html.P("No import took long enough to be recorded.", className="muted note")
    top = sorted(imports, key=lambda one: -one.mean_ms)[
        :MOST_IMPORTS
    ]  # what a user wrote leads, what it pulls in follows
    most = max(one.mean_ms for one in top) or 1.0
    head = html.Div(
        [
            html.Span("Slowest imports"),
            html.Span("own time, of the total with what it imports"),
            html.Span("own", className="r"),
            html.Span("total", className="r"),
        ],
        className="muted",
    )
    return html.Div([head, *(_import_row(one, most) for one in top)], className="imports")


def _import_row(one: ImportCost, most: float) -> Component:
    own, total = 100 * one.self_ms / most, 100 * one.mean_ms / most
    bar = html.U(style={"--own": f"{own:.1f}%", "--total": f"{total:.1f}%"})
    return html.Div(
        [
            html.Span(one.module, className="mono", title=one.module),
            bar,
            html.Span(fmt.ms(one.self_ms), className="r"),
            html.Span(fmt.ms(one.mean_ms), className="r muted"),
        ]
    )


def _error_row(group: ErrorGroup, now: datetime, zone: tzinfo) -> Component:
    example = link("Example trace →", trace_href(group.trace_id), className="more") if group.trace_id else None
    logs = link("Logs", logs_href(f'function:"{group.function}" level:error'), className="more")
    return html.Tr(
        [
            html.Td(group.error_type or "unknown", className="mono err"),
            html.Td(group.message, className="muted cut", title=group.message),
            html.Td(f"{group.count:,}", className="r"),
            html.Td(moment(group.first_seen, now, zone)),
            html.Td(moment(group.last_seen, now, zone)),
            html.Td([logs, " ", example], className="r actions"),
        ]
    )


def _invocation_row(row: Invocation, zone: tzinfo) -> Component:
    kind, word = _OUTCOMES.get(row.outcome, ("mute", row.outcome))
    outcome = badge(row.error_type or word if kind == "error" else word, kind, mark=True, title=word)
    cold = (
        badge(f"cold {fmt.ms(row.init_ms)}" if row.init_ms is not None else "cold", "cold") if row.cold_start else None
    )
    started = html.Time(
        fmt.clock(row.start, zone, millis=True), dateTime=row.start.isoformat(), title=fmt.utc(row.start)
    )
    source = " ".join(part for part in (row.source_kind, row.source_name) if part) or row.trigger
    again = f", attempt {row.attempt}" if row.attempt > 1 else ""
    return html.Tr(
        [
            html.Td(started),
            html.Td([outcome, " ", cold]),
            html.Td(fmt.ms(row.duration_ms), className="r"),
            html.Td(fmt.megabytes(row.memory_used_mb), className="r"),
            html.Td(source + again),
            html.Td(fmt.ms(row.queue_wait_ms) if row.queue_wait_ms is not None else "", className="r"),
            html.Td(row.request_id[:8], className="mono muted", title=row.request_id),
            html.Td(
                link("Trace →", trace_href(row.trace_id), className="more") if row.trace_id else None, className="r"
            ),
        ]
    )
