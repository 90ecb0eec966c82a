"""The rules of a Choice state."""

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import RUNTIME, StatesError
from faasight_emulator.states.paths import exists, read

Rule = Mapping[str, Any]
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThanEquals": operator.le,
    "LessThan": operator.lt,
    "GreaterThanEquals": operator.ge,
    "GreaterThan": operator.gt,
}


def holds(rule: Rule, value: Json, context: Json) -> bool:
    """Whether a rule holds. Raises StatesError if its variable is not there, or no rule is to be seen."""
    if "And" in rule:
        return all(holds(one, value, context) for one in rule["And"])
    if "Or" in rule:
        return any(holds(one, value, context) for one in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], value, context)
    path = str(rule.get("Variable", "$"))
    for key, wanted in rule.items():
        if key == "IsPresent":
            return exists(path, value, context) is bool(wanted)
        if key in _TESTS:
            return _TESTS[key](read(path, value, context)) is bool(wanted)
        by_path = key.endswith("Path") and key != "StringMatchesPath"
        name = key.removesuffix("Path") if by_path else key
        compare = _comparison(name)
        if compare is not None:
            other = read(wanted, value, context) if by_path else wanted
            return compare(read(path, value, context), other)
    raise StatesError(RUNTIME, f"a Choice rule has no comparison that is known: {dict(rule)}")


def known(rule: Rule) -> bool:
    """Whether a rule has a comparison that `holds` knows."""
    for key in ("And", "Or"):
        if key in rule:
            return all(known(one) for one in rule[key])
    if "Not" in rule:
        return known(rule["Not"])
    return any(key == "IsPresent" or key in _TESTS or _comparison(key.removesuffix("Path")) for key in rule)


def _comparison(name: str) -> Callable[[Json, Json], bool] | None:
    if name == "StringMatches":
        return _matches
    for kind, read_as in _KINDS.items():
        order = _ORDERS.get(name.removeprefix(kind)) if name.startswith(kind) else None
        if order is not None:
            return lambda one, other: _compared(order, read_as(one), read_as(other))
    return None


def _compared(order: Callable[[Any, Any], bool], one: Any, other: Any) -> bool:  # noqa: ANN401 -- of one kind, or None
    return one is not None and other is not None and order(one, other)


def _matches(value: Json, pattern: Json) -> bool:
    """Match a text with a pattern in which a star stands for any text, and one after a backslash for itself."""
    parts = re.split(r"(\\.|\*)", str(pattern))
    expression = "".join(".*" if one == "*" else re.escape(one[1:] if one.startswith("\\") else one) for one in parts)
    return isinstance(value, str) and re.fullmatch(expression, value, re.DOTALL) is not None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Json) -> bool | None:
    return value if isinstance(value, bool) else None


def _timestamp(value: Json) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


_KINDS: dict[str, Callable[[Json], Any]] = {
    "String": _text,
    "Numeric": _number,
    "Boolean": _boolean,
    "Timestamp": _timestamp,
}
_TESTS: dict[str, Callable[[Json], bool]] = {
    "IsNull": lambda value: value is None,
    "IsString": lambda value: _text(value) is not None,
    "IsNumeric": lambda value: _number(value) is not None,
    "IsBoolean": lambda value: _boolean(value) is not None,
    "IsTimestamp": lambda value: _timestamp(value) is not None,
}
