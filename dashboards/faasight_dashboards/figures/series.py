"""Figures over equal buckets of time: outcomes, percentiles, rates, concurrency, memory."""

import math
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any

from faasight_store.types import Series

from faasight_dashboards import format as fmt
from faasight_dashboards.figures.base import Figure, bucket_axis, layout, message, revision, times
from faasight_dashboards.theme import BRAND, COLD, ERROR, MUTE, OK, PERCENTILES, THROTTLE, fade

NOTHING = "No invocations in this range"


def outcomes(series: Series, zone: tzinfo = UTC) -> Figure:
    """Return stacked bars: what went well, what failed, what was throttled."""
    if not any(series.ok) and not any(series.errors) and not any(series.throttles):
        return message(NOTHING)
    stacks = ((series.ok, "OK", OK), (series.errors, "Errors", ERROR), (series.throttles, "Throttles", THROTTLE))
    x = times(series.t, zone)
    width = series.step_s * 1000
    bars = [
        {
            "type": "bar",
            "x": x,
            "y": list(values),
            "name": name,
            "offset": width * 0.08,
            "width": width * 0.84,
            "marker": {"color": colour, "line": {"width": 0}},
            "hovertemplate": "%{y:,}",
        }
        for values, name, colour in stacks
        if name == "OK" or any(values)
    ]
    return _figure(series, zone, bars, barmode="stack", yaxis=_count_axis(series))


def percentiles(series: Series, zone: tzinfo = UTC) -> Figure:
    """Return the durations' p50, p90, p95 and p99 as lines."""
    columns = {"p50": series.p50_ms, "p90": series.p90_ms, "p95": series.p95_ms, "p99": series.p99_ms}
    top = _top(*columns.values())
    if top is None:
        return message(NOTHING)
    lines = [
        _line(series, zone, values, name, PERCENTILES[name], [fmt.ms(value) for value in values], width=1.6)
        for name, values in columns.items()
    ]
    return _figure(series, zone, lines, yaxis=duration_axis(top))


def error_rate(series: Series, zone: tzinfo = UTC) -> Figure:
    """Return the share of invocations that failed."""
    return _share(series, zone, series.errors, "Errors", ERROR)


def cold_rate(series: Series, zone: tzinfo = UTC) -> Figure:
    """Return the share of invocations that waited for a cold start."""
    return _share(series, zone, series.cold_starts, "Cold starts", COLD)


def concurrency(series: Series, zone: tzinfo = UTC) -> Figure:
    """Return how many ran at once, and throttled attempts as bars on an axis of their own."""
    if _top(series.concurrency) is None and not any(series.throttles):
        return message(NOTHING)
    texts = [fmt.number(value) for value in series.concurrency]
    running = _line(series, zone, series.concurrency, "Running at once", BRAND, texts, fill=True)
    width = series.step_s * 1000
    throttled = {
        "type": "bar",
        "x": times(series.t, zone),
        "y": list(series.throttles),
        "yaxis": "y2",
        "name": "Throttles",
        "offset": width * 0.08,
        "width": width * 0.84,
        "marker": {"color": THROTTLE, "line": {"width": 0}},
        "hovertemplate": "%{y:,}",
    }
    second = {
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "nticks": 4,
        "fixedrange": True,
        "range": [0, 2.2 * max(1, *series.throttles)],  # the bars keep to the lower half
        "tickformat": "~s",
        "visible": any(series.throttles),
    }
    return _figure(series, zone, [throttled, running], margin={"r": 34 if any(series.throttles) else 12}, yaxis2=second)


def memory(series: Series, given_mb: float | None, zone: tzinfo = UTC) -> Figure:
    """Return the largest use of memory in each bucket, below the line of what is given."""
    top = _top(series.memory_used_mb)
    if top is None:
        return message("No memory figures in this range")
    texts = [fmt.megabytes(value) for value in series.memory_used_mb]
    traces = [_line(series, zone, series.memory_used_mb, "Used", BRAND, texts, fill=True)]
    if given_mb and series.t:
        ends = times([series.t[0], series.t[-1]], zone)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": ends,
                "y": [given_mb, given_mb],
                "name": "Given",
                "line": {"color": MUTE, "width": 1.5, "dash": "dash"},
                "hovertemplate": f"{given_mb:.0f} MB",
            }
        )
    return _figure(
        series,
        zone,
        traces,
        yaxis={"ticksuffix": " MB", "range": [0, 1.08 * max(top, given_mb or 0)]},
        margin={"l": 62},
    )


def duration_axis(top_ms: float) -> dict[str, Any]:
    """Return ticks at round durations up to `top_ms`: the values stay in ms, the labels say ms, s or min."""
    for unit_ms in (3_600_000, 60_000, 1000, 1):
        if top_ms >= 2 * unit_ms:
            break
    step = _round_step(top_ms / unit_ms / 4) * unit_ms
    values = [i * step for i in range(math.ceil(top_ms / step) + 1)]
    return {
        "tickmode": "array",
        "tickvals": values,
        "ticktext": [_tick(value, unit_ms) for value in values],
        "range": [0, top_ms * 1.05],
    }


def _count_axis(series: Series) -> dict[str, Any]:
    """Return an axis of whole numbers: small counts have no halves."""
    top = max(map(sum, zip(series.ok, series.errors, series.throttles, strict=True)))
    return {"tickformat": "d", "dtick": 1} if top < 5 else {"tickformat": "~s"}


def _tick(value_ms: float, unit_ms: int) -> str:
    name = {1: "ms", 1000: "s", 60_000: "min", 3_600_000: "h"}[unit_ms]
    return "0" if value_ms == 0 else f"{value_ms / unit_ms:g} {name}"


def _round_step(raw: float) -> float:
    if raw <= 0:
        return 1.0
    magnitude: float = 10.0 ** math.floor(math.log10(raw))
    return next(m for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999) * magnitude


def _share(series: Series, zone: tzinfo, parts: Sequence[int], name: str, colour: str) -> Figure:
    ran = [ok + failed for ok, failed in zip(series.ok, series.errors, strict=True)]
    if not any(ran):
        return message(NOTHING)
    shares = [100 * part / whole if whole else None for part, whole in zip(parts, ran, strict=True)]
    texts = [fmt.percent(None if share is None else share / 100) for share in shares]
    top = _top(shares) or 0.0
    trace = _line(series, zone, shares, name, colour, texts, fill=True)
    return _figure(series, zone, [trace], yaxis={"ticksuffix": "%", "range": [0, max(1.0, min(105.0, top * 1.12))]})


def _line(
    series: Series,
    zone: tzinfo,
    values: Sequence[float | None],
    name: str,
    colour: str,
    texts: Sequence[str],
    *,
    width: float = 1.8,
    fill: bool = False,
) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": _mode(values),
        "x": times(series.t, zone),
        "y": [None if value is None else round(value, 3) for value in values],
        "customdata": list(texts),
        "name": name,
        "line": {"color": colour, "width": width},
        "marker": {"color": colour, "size": 4},
        "hovertemplate": "%{customdata}",
        "connectgaps": False,
    }
    if fill and None not in values:  # Plotly fills across gaps, as if something were there
        shades = [[0, fade(colour, 0)], [1, fade(colour, 0.35)]]
        trace |= {"fill": "tozeroy", "fillgradient": {"type": "vertical", "colorscale": shades}}
    return trace


def _mode(values: Sequence[float | None]) -> str:
    # A value with a gap on both sides would be an invisible line.
    present = [value is not None for value in values]
    lonely = any(
        here and not (i > 0 and present[i - 1]) and not (i + 1 < len(present) and present[i + 1])
        for i, here in enumerate(present)
    )
    return "lines+markers" if lonely else "lines"


def _top(*columns: Sequence[float | None]) -> float | None:
    return max((value for column in columns for value in column if value is not None), default=None)


def _figure(series: Series, zone: tzinfo, traces: list[dict[str, Any]], **changes: object) -> Figure:
    axis = bucket_axis(series.t, series.step_s, zone)
    return {"data": traces, "layout": layout(xaxis=axis, uirevision=revision(series.t, series.step_s), **changes)}
