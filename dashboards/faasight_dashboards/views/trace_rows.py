"""Traces as rows of a grid (cells are drawn by assets/clientside/trace_cells.js)."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any

from faasight_store.types import TraceRow

from faasight_dashboards import format as fmt

COLUMNS: list[dict[str, Any]] = [
    {
        "field": "start",
        "headerName": "Started",
        "width": 178,
        "maxWidth": 200,
        "cellRenderer": "TraceTime",
        "sort": "desc",
    },
    {"field": "name", "headerName": "Trace", "flex": 2, "minWidth": 260, "cellRenderer": "TraceName"},
    {"field": "duration_ms", "headerName": "Duration", "width": 210, "cellRenderer": "TraceDuration"},
    {"field": "spans", "headerName": "Spans", "width": 90, "maxWidth": 110, "type": "rightAligned"},
    {"field": "errors", "headerName": "Errors", "width": 100, "maxWidth": 120, "cellRenderer": "TraceErrors"},
    {"field": "cold_starts", "headerName": "Cold starts", "width": 110, "maxWidth": 130, "cellRenderer": "TraceCold"},
    {"field": "services", "headerName": "Services", "flex": 2, "minWidth": 220, "cellRenderer": "TraceServices"},
]


def trace_rows(rows: Sequence[TraceRow], zone: tzinfo = UTC) -> list[dict[str, Any]]:
    """Return rows; `share` is the duration as a part of the longest, for its bar."""
    longest = max((row.duration_ms for row in rows), default=0.0) or 1.0
    return [
        {
            "trace_id": row.trace_id,
            "start": fmt.clock(row.start, zone, millis=True),
            "utc": fmt.utc(row.start),
            "service": row.root_service,
            "name": row.root_name,
            "duration_ms": row.duration_ms,
            "duration": fmt.ms(row.duration_ms),
            "share": round(row.duration_ms / longest, 4),
            "spans": row.spans,
            "errors": row.errors,
            "cold_starts": row.cold_starts,
            "services": ", ".join(row.services),
        }
        for row in rows
    ]
