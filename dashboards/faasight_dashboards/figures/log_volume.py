"""How many log lines there were, by time and level."""

from datetime import UTC, tzinfo

from faasight_store.types import LogVolume

from faasight_dashboards.figures.base import Figure, bucket_axis, layout, revision, times
from faasight_dashboards.theme import ERROR, MUTE, OK, WARN

LEVELS = (
    ("INFO", "Info", OK),
    ("DEBUG", "Debug", MUTE),
    ("WARN", "Warn", WARN),
    ("ERROR", "Error", ERROR),
)  # from the bottom up
LEGEND = [(name, colour) for _, name, colour in reversed(LEVELS)]


def log_volume(volume: LogVolume, zone: tzinfo = UTC) -> Figure:
    """Return bars stacked by level, errors on top where they are seen."""
    x = times(volume.t, zone)
    width_ms = volume.step_s * 1000
    bars = [
        {
            "type": "bar",
            "x": x,
            "y": list(volume.levels.get(level, [0] * len(x))),
            "name": name,
            "offset": 0,
            "width": width_ms * 0.86,
            "marker": {"color": colour, "line": {"width": 0}},
            "hovertemplate": "%{y:,.0f}",
        }
        for level, name, colour in LEVELS
    ]
    frame = layout(
        barmode="stack",
        xaxis=bucket_axis(volume.t, volume.step_s, zone),
        yaxis={"tickformat": "~s", "nticks": 4},
        uirevision=revision(volume.t, volume.step_s),
    )
    return {"data": bars, "layout": frame}
