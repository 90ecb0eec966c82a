"""The user's own numbers: delta sums and gauges, kept between flushes and sent with them."""

from __future__ import annotations

import math
from _thread import allocate_lock

from faasight import agent as agents
from faasight import mask
from faasight.complain import complaints
from faasight.spans import now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from faasight.spans import Value

_MAX_SERIES = 1_000  # name and dimensions, between two flushes


class Point:
    """One series since the last flush."""

    __slots__ = ("dimensions", "end_ns", "kind", "monotonic", "name", "start_ns", "unit", "value")

    def __init__(self, name: str, kind: str, unit: str, dimensions: dict[str, Value], start_ns: int) -> None:
        self.name = name
        self.kind = kind  # sum or gauge
        self.unit = unit
        self.dimensions = dimensions
        self.value: int | float = 0
        self.monotonic = True  # as long as nothing negative was added
        self.start_ns = start_ns
        self.end_ns = start_ns


class Metrics:
    """All series of a process; safe to use from several threads."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child: the parent sends its own numbers, and its lock may be held for ever."""
        self._lock = allocate_lock()
        self._points: dict[tuple[object, ...], Point] = {}
        self._since = now_ns()

    def record(self, name: str, value: float, unit: str, kind: str, dimensions: dict[str, Value]) -> None:
        """Add to a sum, or set a gauge."""
        key = (name, kind, unit, *sorted(dimensions.items()))
        with self._lock:
            point = self._points.get(key)
            if point is None:
                if len(self._points) >= _MAX_SERIES:
                    complaints.say(f"more than {_MAX_SERIES} metric series in one flush: {name} is dropped")
                    return
                point = self._points[key] = Point(name, kind, unit, dimensions, self._since)
            point.value = value if kind == "gauge" else point.value + value
            point.monotonic = point.monotonic and value >= 0

    def drain(self) -> list[Point]:
        """Return what was recorded since the last call."""
        with self._lock:
            points, self._points = self._points, {}
            since, self._since = self._since, max(now_ns(), self._since)
        for point in points.values():
            point.start_ns, point.end_ns = since, self._since
        return list(points.values())


def metric(name: str, value: float, *, unit: str = "1", kind: str = "sum", **dimensions: Value) -> None:
    """Record a number of the user's own: `faasight.metric("orders", 1, currency="EUR")`.

    `kind` is "sum" (added up between flushes, sent as a delta) or "gauge" (the last one counts). It never raises.
    """
    try:
        agent = agents.get()
        if agent.settings.disabled:
            return
        if kind not in {"sum", "gauge"} or not isinstance(value, (int, float)) or not math.isfinite(value):
            complaints.say(
                f"metric {name!r}: value {value!r} of kind {kind!r} is not a finite number of kind sum or gauge"
            )
            return
        hidden: dict[str, Any] = {key: mask.value(key, item) for key, item in dimensions.items()}
        agent.metrics_of_process().record(str(name), value, unit, kind, hidden)
    except Exception as error:  # noqa: BLE001 - a number that cannot be kept must not end the function
        complaints.failure("metric", error)
