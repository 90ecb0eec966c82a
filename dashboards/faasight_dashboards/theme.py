"""Colours of data, at least 3:1 on both backgrounds, and Mantine's theme. The chrome's are in assets/css/theme.css."""

from typing import Any

OK = "#3d8bfd"
BRAND = "#7c6cf2"
ERROR = "#e5484d"
WARN = "#c98500"
THROTTLE = "#d6409f"
COLD = "#0e99ab"
MUTE = "#7d8699"
GREEN = "#2a9d68"

PERCENTILES = {"p50": "#2b9db8", "p90": "#4a86ea", "p95": "#7c6cf2", "p99": "#d6409f"}

SANS = "Inter Variable, Inter, system-ui, sans-serif"
MONO = "JetBrains Mono Variable, ui-monospace, monospace"

MANTINE: dict[str, Any] = {
    "primaryColor": "violet",
    "colors": {
        "dark": [
            "#e7eaf2",
            "#b9c0d0",
            "#949db2",
            "#7d879c",
            "#2b3242",
            "#232938",
            "#171b25",
            "#12151d",
            "#0e1118",
            "#0b0d13",
        ]
    },
    "fontFamily": SANS,
    "fontFamilyMonospace": MONO,
    "defaultRadius": 7,
    "fontSizes": {"xs": "12px", "sm": "13px", "md": "14px"},
}


def fade(colour: str, alpha: float) -> str:
    """Return `#rrggbb` with an opacity, as Plotly and CSS both read it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"
