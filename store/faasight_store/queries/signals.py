"""The signals that alert rules measure."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from faasight_store.connection import Store
from faasight_store.queries.settled import invocations, sources
from faasight_store.times import to_ns
from faasight_store.types import Measurement

_RUN = "NOT never_ran AND outcome != 'warm_up'"  # pings that keep a function warm are nobody's invocations
_RAN = f"countIf({_RUN})"
_FAILED = "countIf(outcome NOT IN ('ok', 'throttled', 'warm_up'))"
_TIMED = f"countIf({_RUN} AND duration_ms IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class _Signal:
    """SQL over merged invocations: the value, and what it was computed from."""

    value: str
    samples: str = _RAN
    about: str = ""


def _quantile(level: float) -> _Signal:
    return _Signal(
        f"quantileExactIf({level})(ifNull(duration_ms, 0), {_RUN} AND duration_ms IS NOT NULL)", _TIMED, "ms"
    )


def _ratio(count: str, base: str = _RAN) -> _Signal:
    return _Signal(f"if({base} = 0, 0, {count} / {base})", base, "0 to 1")


_DEFINITIONS = {
    "invocations": _Signal(_RAN, about="count"),
    "errors": _Signal(_FAILED, about="count"),
    "error_rate": _ratio(_FAILED),
    "timeouts": _Signal("countIf(outcome = 'timeout')", about="count"),
    "out_of_memory": _Signal("countIf(outcome = 'out_of_memory')", about="count"),
    "lost": _Signal("countIf(outcome = 'lost')", about="count"),
    "throttles": _Signal("sum(throttles)", f"{_RAN} + sum(throttles)", "count"),
    "throttle_rate": _ratio("sum(throttles)", f"({_RAN} + sum(throttles))"),
    "cold_starts": _Signal(f"countIf(cold_start AND {_RUN})", about="count"),
    "cold_start_rate": _ratio(f"countIf(cold_start AND {_RUN})"),
    "duration_p50_ms": _quantile(0.5),
    "duration_p90_ms": _quantile(0.9),
    "duration_p95_ms": _quantile(0.95),
    "duration_p99_ms": _quantile(0.99),
    "duration_max_ms": _Signal(f"ifNull(maxIf(duration_ms, {_RUN}), 0)", _TIMED, "ms"),
    "timeout_headroom": _Signal(
        "ifNull(max(duration_ms / nullIf(timeout_ms, 0)), 0)",
        "countIf(duration_ms IS NOT NULL AND timeout_ms > 0)",
        "longest duration over the time limit, 0 to 1",
    ),
    "memory_used_ratio": _Signal(
        "ifNull(max(memory_used_mb / nullIf(memory_mb, 0)), 0)",
        "countIf(memory_used_mb IS NOT NULL AND memory_mb > 0)",
        "most memory used over the memory given, 0 to 1",
    ),
    "cost_usd": _Signal("sum(cost_usd)", about="USD"),
}

_COLUMNS = (
    "function", "version", "environment", "region", "never_ran", "outcome", "throttles", "cold_start", "duration_ms",
    "timeout_ms", "memory_mb", "memory_used_mb", "cost_usd",
)  # fmt: skip
SIGNALS = tuple(_DEFINITIONS)
GROUPS = ("function", "version", "environment", "region")


def measure(
    store: Store, signal: str, start: datetime, end: datetime, group_by: Sequence[str] = ("function",)
) -> list[Measurement]:
    """Return the signal per group over `[start, end)`.

    Signals: those of `SIGNALS`; groups: function, version, environment, region. Raises ValueError for others. Without
    groups there is one measurement over everything, even if nothing ran. `samples` is the base of a ratio, else how
    many invocations were seen.
    """
    return measure_all(store, (signal,), start, end, group_by)[signal]


def measure_all(
    store: Store, signals: Sequence[str], start: datetime, end: datetime, group_by: Sequence[str] = ("function",)
) -> dict[str, list[Measurement]]:
    """Return several signals as `measure` does, of one read."""
    for signal in signals:
        if signal not in _DEFINITIONS:
            raise ValueError(f"there is no signal {signal!r}; the signals are {', '.join(SIGNALS)}")
    unknown = [name for name in group_by if name not in GROUPS]
    if unknown:
        raise ValueError(f"a signal cannot be grouped by {unknown[0]!r}; the groups are {', '.join(GROUPS)}")
    values = ", ".join(
        f"toFloat64({_DEFINITIONS[signal].value}), toUInt64({_DEFINITIONS[signal].samples})" for signal in signals
    )
    source = invocations(
        sources(store, [(to_ns(start), to_ns(end))], time.time_ns()), columns=_needed(f"{values} {group_by}")
    )
    groups = ", ".join(group_by)
    rows = store.query(
        f"SELECT {values}{', ' + groups if groups else ''}"
        f" FROM {source.text}" + (f" GROUP BY {groups} ORDER BY {groups}" if groups else ""),
        source.parameters,
    )
    labels = [dict(zip(group_by, row[2 * len(signals) :], strict=True)) for row in rows]
    return {
        signal: [Measurement(label, row[2 * i], row[2 * i + 1]) for label, row in zip(labels, rows, strict=True)]
        for i, signal in enumerate(signals)
    }


def _needed(text: str) -> tuple[str, ...]:
    """Return the columns that are named: what is not asked for need not be merged."""
    words = set(re.findall(r"\w+", text))
    return tuple(name for name in _COLUMNS if name in words)
