"""Sparklines as SVG data addresses: about a kilobyte, and no Plotly instance."""

from collections.abc import Sequence
from urllib.parse import quote

_WIDTH, _HEIGHT = 200, 38
_POINTS = 60


def spark(values: Sequence[float | None], colour: str) -> str:
    """Return the address of an image of `values`, stretched to whatever box it is put in; gaps count as nothing."""
    heights = _points(_thin([value or 0.0 for value in values]))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in heights)
    box = f"viewBox='0 0 {_WIDTH} {_HEIGHT}' preserveAspectRatio='none'"
    stops = f"<stop stop-color='{colour}' stop-opacity='.32'/><stop offset='1' stop-color='{colour}' stop-opacity='0'/>"
    stroke = f"fill='none' stroke='{colour}' stroke-width='1.5' vector-effect='non-scaling-stroke'"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' {box}>"
        f"<defs><linearGradient id='g' x2='0' y2='1'>{stops}</linearGradient></defs>"
        f"<polygon points='0,{_HEIGHT} {line} {_WIDTH},{_HEIGHT}' fill='url(#g)'/>"
        f"<polyline points='{line}' {stroke}/></svg>"
    )
    return "data:image/svg+xml," + quote(svg, safe=" =:/'<>,")


def _thin(values: list[float]) -> list[float]:
    """Return at most `_POINTS` values: means of neighbours."""
    if len(values) <= _POINTS:
        return values or [0.0]
    size = -(-len(values) // _POINTS)
    groups = [values[i : i + size] for i in range(0, len(values), size)]
    return [sum(group) / len(group) for group in groups]


def _points(values: list[float]) -> list[tuple[float, float]]:
    low, high = min(values), max(values)
    base = low - 0.25 * (high - low)  # lifted off the edge, unless it is flat
    spread = (high - base) or 1.0
    last = max(1, len(values) - 1)
    drawn = [
        (i * _WIDTH / last, _HEIGHT - 2 - (value - base) / spread * (_HEIGHT - 5)) for i, value in enumerate(values)
    ]
    return drawn if len(drawn) > 1 else [drawn[0], (_WIDTH, drawn[0][1])]
