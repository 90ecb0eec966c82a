"""The frame of every figure: transparent, quiet, themed by CSS."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from typing import Any

from faasight_dashboards.theme import BRAND, SANS

Figure = dict[str, Any]

_CLEAR = "rgba(0,0,0,0)"
_LINE = "rgba(128,138,160,.18)"  # CSS repaints it per theme (assets/css/charts.css): Plotly refuses var()

_LABELS = (
    (480, "%H:%M:%S"),
    (86_400, "%H:%M"),
    (4 * 86_400, "%a %H:%M"),
    (float("inf"), "%b %d"),
)  # by length, seconds


def layout(**changes: object) -> dict[str, Any]:
    """Return the frame, with `changes` merged one level deep."""
    axis = {"gridcolor": _LINE, "zerolinecolor": _LINE, "linecolor": _CLEAR, "tickcolor": _CLEAR, "automargin": False}
    frame: dict[str, Any] = {
        "margin": {"l": 52, "r": 12, "t": 8, "b": 26},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"family": SANS, "size": 11, "color": "#8b93a7"},
        "hovermode": "x unified",
        "dragmode": "zoom",
        "hoverlabel": {"font": {"family": SANS, "size": 12}},
        "showlegend": False,
        "newselection": {"line": {"width": 1, "color": BRAND}},
        "xaxis": {**axis, "type": "date", "showgrid": False, "nticks": 8, "tickangle": 0, "fixedrange": False},
        "yaxis": {**axis, "nticks": 5, "fixedrange": True, "rangemode": "tozero"},
    }
    for name, value in changes.items():
        frame[name] = {**frame[name], **value} if isinstance(value, dict) and name in frame else value
    return frame


def times(moments: Sequence[datetime], zone: tzinfo = UTC) -> list[str]:
    """Return times as Plotly reads them: it knows no zones, so they are written in the viewer's."""
    return [moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] for moment in moments]


def time_axis(start: datetime, end: datetime, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the changes of an x axis that spans the whole range, data or not."""
    seconds = (end - start).total_seconds()
    label = next(text for limit, text in _LABELS if seconds <= limit)
    return {
        "range": times([start, end], zone),
        "autorange": False,
        "tickformat": label,
        "hoverformat": "%b %d %H:%M:%S",
    }


def bucket_axis(moments: Sequence[datetime], step_s: float, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return the x axis of buckets that start at `moments`."""
    if not moments:
        return {"visible": False}
    return time_axis(moments[0], moments[-1] + timedelta(seconds=step_s), zone)


def revision(moments: Sequence[datetime], step_s: float) -> str:
    """Return a `uirevision`: a viewer's zoom holds while the range is the same, and goes with it."""
    return f"{moments[0].timestamp()}/{step_s}" if moments else "none"


def message(text: str) -> Figure:
    """Return a figure that says something instead of showing data."""
    note = {
        "text": escape(text, quote=False),  # Plotly makes links and layout of tags, and an error may quote anything
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "font": {"size": 12},
    }
    return {
        "data": [],
        "layout": layout(xaxis={"visible": False}, yaxis={"visible": False}, annotations=[note], dragmode=False),
    }
