"""What the header's search finds: functions by name, a trace by its id, log lines by any text."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from faasight_store import Scope
from faasight_store.queries import functions
from flask import Flask, Response, jsonify, request

from faasight_dashboards.components import function_href, logs_href, trace_href
from faasight_dashboards.data import ask

ADDRESS = "/-/search"

_MOST_FUNCTIONS = 8
_BACK = timedelta(days=1)
_PAGES = (
    ("Overview", "/"),
    ("Functions", "/functions"),
    ("Map", "/map"),
    ("Traces", "/traces"),
    ("Logs", "/logs"),
    ("Alerts", "/alerts"),
)
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A place to go to."""

    kind: str  # Function, Page, Trace, Logs
    text: str
    href: str
    icon: str


def find(text: str, names: Sequence[str]) -> list[Hit]:
    """Return where `text` may lead, the likeliest first."""
    wanted = text.strip()
    low = wanted.lower()
    hits: list[Hit] = []
    if _TRACE_ID.fullmatch(wanted):
        hits.append(Hit("Trace", wanted, trace_href(low), "list-tree"))
    named = sorted(
        (name for name in names if low in name.lower()), key=lambda name: (not name.lower().startswith(low), name)
    )
    hits += [Hit("Function", name, function_href(name), "square-function") for name in named[:_MOST_FUNCTIONS]]
    hits += [Hit("Page", title, path, "layout-dashboard") for title, path in _PAGES if low in title.lower()]
    if wanted:
        hits.append(Hit("Logs", f"Lines with {wanted}", logs_href(wanted), "scroll-text"))
    return hits


def register(server: Flask) -> None:
    """Answer the palette's requests (assets/clientside/palette.js)."""

    def answer() -> Response:
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        scope = Scope(now - _BACK, now, request.args.get("env", ""))
        names = [row.function for row in ask(functions.functions, scope)]
        return jsonify([asdict(hit) for hit in find(request.args.get("q", ""), names)])

    server.add_url_rule(ADDRESS, "faasight_search", answer)
