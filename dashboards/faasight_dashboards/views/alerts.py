"""What fires, and what changed: alerts as cards and as rows of a grid (cells: assets/clientside/alert_cells.js)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from dash import html
from dash.development.base_component import Component
from faasight_store.types import AlertEvent, AlertInstance

from faasight_dashboards import format as fmt
from faasight_dashboards.components import badge, empty, function_href, icon, link, logs_href

SHOWN = 25  # cards; a page stays below 500 components

SEVERITY_BADGES = {"critical": "error", "warning": "warn", "info": "mute"}
STATE_WORDS = {"firing": "firing", "pending": "pending", "recovering": "recovering"}

COLUMNS: list[dict[str, Any]] = [
    {"field": "at", "headerName": "When", "width": 178, "maxWidth": 200, "cellRenderer": "AlertTime"},
    {"field": "state", "headerName": "Change", "width": 120, "maxWidth": 140, "cellRenderer": "AlertState"},
    {"field": "severity", "headerName": "Severity", "width": 112, "maxWidth": 130, "cellRenderer": "AlertSeverity"},
    {"field": "rule", "headerName": "Rule", "flex": 1, "minWidth": 150},
    {"field": "labels", "headerName": "For", "flex": 1, "minWidth": 160},
    {"field": "summary", "headerName": "What", "flex": 2, "minWidth": 240, "tooltipField": "summary"},
    {"field": "reason", "headerName": "Why", "width": 130, "maxWidth": 180},
    {"field": "delivery", "headerName": "Message", "width": 120, "maxWidth": 140, "cellRenderer": "AlertDelivery"},
]


def counts(instances: Sequence[AlertInstance]) -> str:
    """Return `3 firing · 1 pending`, in the order of urgency."""
    numbers = [(state, sum(instance.state == state for instance in instances)) for state in STATE_WORDS]
    return " · ".join(f"{number} {STATE_WORDS[state]}" for state, number in numbers if number) or "nothing fires"


def active(instances: Sequence[AlertInstance], now: datetime, zone: tzinfo = UTC) -> Component:
    """Return a card for each alert that is not at rest; an empty state that says what to do next if there is none."""
    if not instances:
        return empty("Nothing fires", "Every rule is at rest. What changed before stands below.", "circle-check")
    more = html.Div(f"and {len(instances) - SHOWN} more", className="muted") if len(instances) > SHOWN else None
    return html.Div([*(_card(instance, now, zone) for instance in instances[:SHOWN]), more], className="alert-cards")


def _card(instance: AlertInstance, now: datetime, zone: tzinfo) -> Component:
    function = instance.labels.get("function", "")
    head = [
        badge(instance.severity.capitalize(), SEVERITY_BADGES.get(instance.severity, "mute"), mark=True),
        html.H3(instance.rule),
        html.Span(_labels(instance.labels), className="mono"),
    ]
    since = html.Time(
        f"{instance.state} for {fmt.span((now - instance.since).total_seconds())}",
        dateTime=instance.since.isoformat(),
        title=f"since {fmt.clock(instance.since, zone)}\n{fmt.utc(instance.since)}",
        className="muted",
    )
    condition = html.Span(["Condition: ", html.Span(instance.condition, className="mono")], className="muted")
    return html.Article(
        [
            html.Div(
                [html.Div(head, className="row wrap"), html.Span(instance.summary), condition], className="alert-text"
            ),
            html.Div([since, _ways(function) if function else None], className="alert-side"),
        ],
        className=f"alert-card {instance.severity} {instance.state}",
    )


def _ways(function: str) -> Component:
    ways = (
        ("square-function", "Function", function_href(function)),
        ("list-tree", "Failed traces", f"/traces?function={quote(function, safe='')}&errors=1"),
        ("scroll-text", "Logs", logs_href(f'function:"{function}"')),
    )
    return html.Div(
        [link([icon(symbol), label], href, className="pill") for symbol, label, href in ways], className="pills"
    )


def _labels(labels: Mapping[str, str]) -> str:
    shown = {name: value for name, value in labels.items() if value}
    return ", ".join(
        value if name == "function" else f"{name}={value}"
        for name, value in sorted(shown.items(), key=lambda pair: pair[0] != "function")
    )


def history_rows(events: Sequence[AlertEvent], zone: tzinfo = UTC) -> list[dict[str, Any]]:
    """Return changes of state as rows of the grid."""
    return [
        {
            "id": event.id,
            "at": fmt.clock(event.ts, zone),
            "utc": fmt.utc(event.ts),
            "state": event.state,
            "severity": event.severity,
            "rule": event.rule,
            "labels": _labels(event.labels),
            "summary": event.summary,
            "reason": event.reason,
            "delivery": event.delivery,
        }
        for event in events
    ]
