"""The rows and columns of the functions' grid."""

from collections.abc import Sequence
from typing import Any

from faasight_store.types import FunctionRow, Scope

from faasight_dashboards import format as fmt
from faasight_dashboards.components import function_href
from faasight_dashboards.views.health import RANK, error_share, headroom, health, share

_RIGHT: dict[str, Any] = {"type": "rightAligned", "filter": "agNumberColumnFilter"}
_MS: dict[str, Any] = {**_RIGHT, "width": 84, "valueFormatter": {"function": "fmtMs(params.value)"}}


def _bar(field: str, name: str, full: float, colour: str, width: int = 140, **more: object) -> dict[str, Any]:
    renderer = {"cellRenderer": "BarCell", "cellRendererParams": {"max": full, "color": colour}}
    return {"field": field, "headerName": name, "width": width, "filter": "agNumberColumnFilter", **renderer, **more}


COLUMNS: list[dict[str, Any]] = [
    {
        "field": "function",
        "headerName": "Function",
        "cellRenderer": "FunctionCell",
        "minWidth": 180,
        "flex": 2,
        "pinned": "left",
        "filter": "agTextColumnFilter",
    },
    {"field": "runtime", "headerName": "Runtime", "width": 112, "cellClass": "mono", "filter": "agTextColumnFilter"},
    {
        "field": "spark",
        "headerName": "Invocations",
        "cellDataType": False,
        "cellRenderer": "SparkCell",
        "width": 150,
        "sortable": False,
    },
    {
        "field": "rate",
        "headerName": "Rate",
        "width": 96,
        "valueFormatter": {"function": "fmtRate(params.value)"},
        **_RIGHT,
    },
    _bar("errors", "Errors", 0.1, "var(--err)"),
    {"field": "p50", "headerName": "p50", **_MS},
    {"field": "p95", "headerName": "p95", **_MS},
    {"field": "p99", "headerName": "p99", **_MS},
    _bar("cold", "Cold starts", 0.35, "var(--cold)"),
    {
        "field": "throttles",
        "headerName": "Throttles",
        "width": 102,
        "valueFormatter": {"function": "fmtCount(params.value)"},
        **_RIGHT,
    },
    {
        "field": "memory_used",
        "headerName": "Memory",
        "cellRenderer": "MemoryCell",
        "width": 170,
        "filter": "agNumberColumnFilter",
    },
    {
        "field": "time_left",
        "headerName": "Time-out headroom",
        "cellRenderer": "HeadroomCell",
        "width": 160,
        "filter": "agNumberColumnFilter",
    },
    {
        "field": "cost",
        "headerName": "Est. cost",
        "headerTooltip": fmt.ABOUT_COST,
        "width": 104,
        "valueFormatter": {"function": "fmtUsd(params.value)"},
        **_RIGHT,
    },
    {"field": "version", "headerName": "Version", "width": 110, "cellClass": "mono", "filter": "agTextColumnFilter"},
]

OPTIONS: dict[str, Any] = {
    "theme": {
        "function": "themeQuartz.withParams({backgroundColor:'var(--panel)',foregroundColor:'var(--text)',"
        "textColor:'var(--text)',"
        "headerTextColor:'var(--muted)',headerBackgroundColor:'var(--panel)',borderColor:'var(--line)',"
        "rowHoverColor:'var(--hover)',"
        "accentColor:'var(--accent)',fontFamily:'inherit',fontSize:12.5,headerFontSize:11.5,headerFontWeight:500,"
        "rowHeight:38,headerHeight:36,"
        "wrapperBorder:false,columnBorder:false,spacing:6,chromeBackgroundColor:'var(--panel)',"
        "oddRowBackgroundColor:'var(--panel)',"
        "menuBackgroundColor:'var(--panel)',browserColorScheme:'inherit'})"
    },
    "animateRows": False,
    "tooltipShowDelay": 300,
    "localeText": {"noRowsToShow": "No function ran in this range: choose a longer one, or another environment."},
}


def rows(functions: Sequence[FunctionRow], scope: Scope) -> list[dict[str, Any]]:
    """Return the grid's rows: the worst first, then the busiest."""
    ordered = sorted(functions, key=lambda row: (RANK[health(row).status], -error_share(row), -row.totals.invocations))
    return [_row(row, scope) for row in ordered]


def _row(row: FunctionRow, scope: Scope) -> dict[str, Any]:
    totals, verdict = row.totals, health(row)
    return {
        "function": row.function,
        "href": function_href(row.function),
        "status": verdict.status,
        "reasons": "; ".join(verdict.reasons) or verdict.word,
        "runtime": row.runtime,
        "spark": list(row.spark),
        "rate": totals.invocations / scope.seconds,
        "errors": error_share(row),
        "p50": totals.p50_ms,
        "p95": totals.p95_ms,
        "p99": totals.p99_ms,
        "cold": share(totals.cold_starts, totals) or 0.0,
        "throttles": totals.throttles,
        "memory_used": row.memory_used_mb,
        "memory": row.memory_mb,
        "time_left": headroom(row.max_ms, row.timeout_ms),
        "longest": row.max_ms,
        "timeout": row.timeout_ms,
        "cost": totals.cost_usd,
        "version": row.version,
    }
