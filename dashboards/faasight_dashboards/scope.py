"""The time range and environment of a view: from the URL (`from=now-3h&to=now&env=prod`) to a `Scope` of the store."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from faasight_store import Scope
from faasight_store.queries.windows import chart_step_s

PRESETS = {
    "now-5m": "Last 5 minutes",
    "now-15m": "Last 15 minutes",
    "now-1h": "Last 1 hour",
    "now-3h": "Last 3 hours",
    "now-6h": "Last 6 hours",
    "now-24h": "Last 24 hours",
    "now-2d": "Last 2 days",
    "now-7d": "Last 7 days",
    "now-30d": "Last 30 days",
}

_RELATIVE = re.compile(r"now(?:-(\d{1,5})([smhd]))?")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = timedelta(days=366)
_SHORTEST = timedelta(seconds=1)
# The store's times reach from 1900 to 2262.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class ScopeError(ValueError):
    """A `from` or `to` of a URL that is no time."""


@dataclass(frozen=True, slots=True)
class View:
    """What a viewer looks at: the scope, and the time zone in which to write times."""

    scope: Scope
    zone: tzinfo = UTC
    start: str = "now-3h"  # as in the URL
    end: str = "now"

    def query(self, **more: str) -> str:
        """Return the query string that leads back to this view, with `more` parameters before it."""
        own = {"from": self.start, "to": self.end, "env": self.scope.environment}
        return urlencode({name: value for name, value in {**more, **own}.items() if value})


def view(data: Mapping[str, Any], now: datetime) -> View:
    """Resolve the browser's scope (`{"from", "to", "env", "zone"}`) at `now`. Raises ScopeError.

    A relative end is rounded up to a whole bucket: charts do not shiver on each refresh, and viewers share answers.
    """
    start_text, end_text = str(data.get("from") or "now-3h"), str(data.get("to") or "now")
    start, end = _instant(start_text, now), _instant(end_text, now)
    start, end = min(start, end), max(start, end)
    end = min(max(end, start + _SHORTEST), start + _LONGEST)
    if end_text.startswith("now"):
        step = timedelta(seconds=_step_s((end - start).total_seconds()))
        rounded = _round_up(end, step)
        start, end = (start + (rounded - end) if start_text.startswith("now") else start), rounded
    return View(Scope(start, end, str(data.get("env") or "")), _zone(data.get("zone")), start_text, end_text)


def _instant(text: str, now: datetime) -> datetime:
    match = _RELATIVE.fullmatch(text)
    try:
        if match:
            instant = now - timedelta(seconds=int(match[1] or 0) * _UNIT_S[match[2] or "s"])
        else:
            instant = datetime.fromtimestamp(float(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise ScopeError(f"{text!r} is no time: use now, now-3h or milliseconds since the epoch") from None
    if not _EARLIEST <= instant <= _LATEST:
        raise ScopeError(f"{text!r} is out of reach: use a time between {_EARLIEST.year} and {_LATEST.year}")
    return instant


def _step_s(seconds: float) -> float:
    return max(1.0, chart_step_s(seconds))


def _round_up(moment: datetime, step: timedelta) -> datetime:
    step_s = step.total_seconds()
    return datetime.fromtimestamp(math.ceil(moment.timestamp() / step_s) * step_s, UTC)


def _zone(name: object) -> tzinfo:
    try:
        return ZoneInfo(str(name)) if name else UTC
    except (KeyError, ValueError, OSError):  # an unknown name, or one that is no path below the zone files
        return UTC
