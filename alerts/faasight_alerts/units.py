"""Quantities as people write them in a rule file, and as people read them in a message: `5m`, `> 10 %`, `1.2 s`."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)\s*([smhd])")
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-zA-Z%$]*)")
DURATION_HELP = "write a whole number and a unit: 30s, 5m, 2h or 1d"

# What a unit is worth in the signal's own one.
_RATIO_UNITS = {"": 1.0, "%": 0.01}
_TIME_UNITS = {"": 1.0, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_COST_UNITS = {"": 1.0, "usd": 1.0, "$": 1.0}
_COUNT_UNITS = {"": 1.0}

# Signals that are shares of a whole and yet not named `..._rate` or `..._ratio`.
_OTHER_RATIOS = frozenset({"timeout_headroom"})


def is_ratio(signal: str) -> bool:
    """Tell whether the signal is a share from 0 to 1."""
    return signal.endswith(("_rate", "_ratio")) or signal in _OTHER_RATIOS


def units_of(signal: str) -> dict[str, float]:
    """Return the units in which a limit of this signal may be written, each with its worth."""
    if is_ratio(signal):
        return _RATIO_UNITS
    if signal.endswith("_ms"):
        return _TIME_UNITS
    return _COST_UNITS if signal.endswith("_usd") else _COUNT_UNITS


def duration(text: str) -> int:
    """Return the seconds of `30s`, `5m`, `2h` or `1d`; a bare 0 is 0. Raises ValueError that says what to write."""
    if text.strip() == "0":
        return 0
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"is no duration; {DURATION_HELP}")
    return int(match[1]) * _SECONDS[match[2]]


def quantity(text: str, signal: str) -> float:
    """Return a limit in the signal's own unit: ratios from 0 to 1, times in ms. ValueError says what to write."""
    units = units_of(signal)
    match = _NUMBER.fullmatch(text.strip())
    if not match or match[2] not in units:
        allowed = ", ".join(unit for unit in units if unit) or "no unit"
        raise ValueError(f"is no limit for {signal}; write a number with {allowed}")
    return float(match[1]) * units[match[2]]


def span(seconds: int) -> str:
    """Return seconds in words: 30 s, 5 min, 2 h, 1 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def shown(value: float, signal: str) -> str:
    """Return a value for people, with its unit and no more digits than tell something."""
    if is_ratio(signal):
        return f"{_digits(value * 100)} %"
    if signal.endswith("_ms"):
        return f"{_digits(value)} ms" if value < 1000 else f"{_digits(value / 1000)} s"
    return f"${value:,.2f}" if signal.endswith("_usd") else _digits(value)


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
