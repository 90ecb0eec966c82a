"""The latency heatmap: how many invocations took how long, over time."""

import math
from datetime import UTC, timedelta, tzinfo

from faasight_store.types import Heatmap

from faasight_dashboards import format as fmt
from faasight_dashboards.figures.base import Figure, bucket_axis, layout, message, revision, times

SCALE = (
    (0, "rgba(124,108,242,0)"),
    (0.04, "rgba(124,108,242,.22)"),
    (0.3, "rgba(124,108,242,.66)"),
    (0.65, "#d6409f"),
    (1, "#ffb454"),
)
GRADIENT = "linear-gradient(90deg,rgba(124,108,242,.2),rgba(124,108,242,.66),#d6409f,#ffb454)"

_LABELS = 6
_FULL = 2.0  # the root of a count; where all are few, none looks like many


def latency(heat: Heatmap, zone: tzinfo = UTC) -> Figure:
    """Return the heatmap, durations on a logarithmic axis; counts show by their root, so that rare ones can be seen."""
    used = [i for i, row in enumerate(heat.counts) if any(row)]
    if not used:
        return message("No invocations in this range")
    low, high = _window(used, len(heat.counts))
    rows = heat.counts[low:high]
    edges = heat.edges_ms[low : high + 1]
    step_s = (heat.t[1] - heat.t[0]).total_seconds() if len(heat.t) > 1 else 1.0
    middles = [(i + 0.5) for i in range(len(rows))]
    names = [f"{fmt.ms(edges[i])} \N{EN DASH} {fmt.ms(edges[i + 1])}" for i in range(len(rows))]
    trace = {
        "type": "heatmap",
        "x": times([start + timedelta(seconds=step_s / 2) for start in heat.t], zone),  # a cell's middle
        "y": middles,
        "z": [[round(math.sqrt(count), 2) if count else None for count in row] for row in rows],
        "customdata": [
            [f"{count:,} \N{MULTIPLICATION SIGN} {name}" for count in row]
            for row, name in zip(rows, names, strict=True)
        ],
        "colorscale": [list(stop) for stop in SCALE],
        "zmin": 0,
        "zmax": max(_FULL, *(math.sqrt(count) for row in rows for count in row)),
        "zauto": False,  # or Plotly begins the scale at the least count, and single ones vanish
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    every = max(1, math.ceil(len(rows) / _LABELS))
    ticks = list(range(0, len(rows) + 1, every))
    axis = {
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [fmt.ms(edges[i]) for i in ticks],
        "showgrid": False,
        "rangemode": "normal",
        "range": [0, len(rows)],
    }
    frame = layout(
        hovermode="closest",
        xaxis=bucket_axis(heat.t, step_s, zone),
        yaxis=axis,
        margin={"l": 62},
        uirevision=revision(heat.t, step_s),
    )
    return {"data": [trace], "layout": frame}


def _window(used: list[int], rows: int) -> tuple[int, int]:
    """Return the rows to show: those with counts and one more on each side, at least eight."""
    low, high = max(0, used[0] - 1), min(rows, used[-1] + 2)
    missing = max(0, 8 - (high - low))
    low = max(0, low - missing // 2)
    return low, min(rows, max(high, low + 8))
