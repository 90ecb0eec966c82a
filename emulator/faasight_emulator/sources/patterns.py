"""Event patterns, as EventBridge rules and the filter criteria of event source mappings have them.

The rules are those of the EventBridge user guide ("Creating event patterns", "Comparison operators"). A field of an
event that is a list matches if one of its items does; a field that is absent matches nothing but `{"exists": false}`.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import eq, ge, gt, le, lt

from faasight_emulator.invocation import Json

_COMPARE: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, "=": eq, ">": gt, ">=": ge}
_ABSENT = object()


def matches(pattern: Mapping[str, Json], event: Json) -> bool:
    """Return whether a JSON value matches a pattern that `check_pattern` has passed."""
    return all(_field_matches(key, wanted, event) for key, wanted in pattern.items())


def check_pattern(pattern: Json) -> str:
    """Return what is wrong with a pattern, one sentence, or an empty text."""
    if not isinstance(pattern, Mapping) or not pattern:
        return "a pattern must be a mapping with at least one field."
    for key, wanted in pattern.items():
        problem = _check_field(key, wanted)
        if problem:
            return problem
    return ""


def _field_matches(key: str, wanted: Json, event: Json) -> bool:
    if key == "$or":
        return any(matches(one, event) for one in wanted)
    value = event.get(key, _ABSENT) if isinstance(event, Mapping) else _ABSENT
    if isinstance(wanted, Mapping):
        inner = [one for one in _items(value) if isinstance(one, Mapping)]
        return any(matches(wanted, one) for one in inner or [{}])
    found = [one for one in _items(value) if not isinstance(one, Mapping)]
    return any(_condition_holds(one, found) for one in wanted)


def _items(value: Json) -> Iterable[Json]:
    """Return a value's items, of lists within lists too; an absent one has none."""
    if value is _ABSENT:
        return []
    if isinstance(value, list):
        return [item for one in value for item in _items(one)]
    return [value]


def _condition_holds(condition: Json, found: Sequence[Json]) -> bool:
    if not isinstance(condition, Mapping):
        return any(_same(condition, one) for one in found)
    operator, operand = next(iter(condition.items()))
    if operator == "exists":
        return bool(found) is operand
    return any(_OPERATORS[operator](operand, one) for one in found)


def _same(wanted: Json, value: Json) -> bool:
    # True is 1 to Python, and not to JSON.
    return isinstance(wanted, bool) == isinstance(value, bool) and bool(wanted == value)


def _of_text(test: Callable[[str, str], bool]) -> Callable[[Json, Json], bool]:
    """Return an operator whose operand is a text, several, or `{"equals-ignore-case": ...}` around them."""

    def holds(operand: Json, value: Json) -> bool:
        if not isinstance(value, str):
            return False
        if isinstance(operand, Mapping):
            return holds(_folded(operand["equals-ignore-case"]), value.casefold())
        return any(test(value, one) for one in _listed(operand))

    return holds


def _folded(operand: Json) -> Json:
    return [one.casefold() for one in _listed(operand)]


def _listed(operand: Json) -> list[Json]:
    return operand if isinstance(operand, list) else [operand]


def _wildcard(value: str, pattern: str) -> bool:
    """Return whether a text matches one with `*` for any text, and a backslash before a star that is meant."""
    tokens = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", pattern)
    expression = "".join(
        ".*" if one == "*" else re.escape(one[1:] if one in ("\\*", "\\\\") else one) for one in tokens
    )
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _numeric(operand: Json, value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return all(_COMPARE[sign](value, number) for sign, number in zip(operand[::2], operand[1::2], strict=True))


def _anything_but(operand: Json, value: Json) -> bool:
    if isinstance(operand, Mapping):
        operator, inner = next(iter(operand.items()))
        return isinstance(value, str) and not _OPERATORS[operator](inner, value)
    return not any(_same(one, value) for one in _listed(operand))


def _cidr(operand: Json, value: Json) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(operand, strict=False)
    except ValueError:
        return False


_OPERATORS: dict[str, Callable[[Json, Json], bool]] = {
    "prefix": _of_text(str.startswith),
    "suffix": _of_text(str.endswith),
    "equals-ignore-case": _of_text(lambda value, wanted: value.casefold() == wanted.casefold()),
    "wildcard": _of_text(_wildcard),
    "numeric": _numeric,
    "anything-but": _anything_but,
    "cidr": _cidr,
}


def _check_field(key: str, wanted: Json) -> str:
    if key == "$or":
        if not isinstance(wanted, list) or len(wanted) < 2:
            return "'$or' must be a list of at least two patterns."
        return next(filter(None, (check_pattern(one) for one in wanted)), "")
    if isinstance(wanted, Mapping):
        problem = check_pattern(wanted)
        return f"'{key}': {problem}" if problem else ""
    if not isinstance(wanted, list) or not wanted:
        return f"'{key}' must be a list of values or conditions."
    return next((f"'{key}': {problem}" for one in wanted if (problem := _check_condition(one))), "")


def _check_condition(condition: Json) -> str:
    if isinstance(condition, list):
        return "a list cannot stand in a list of conditions."
    if not isinstance(condition, Mapping):
        return ""
    if len(condition) != 1:
        return "a condition has exactly one operator."
    operator, operand = next(iter(condition.items()))
    if operator == "exists":
        return "" if isinstance(operand, bool) else "'exists' must be true or false."
    if operator not in _OPERATORS:
        return f"there is no operator '{operator}'; there are exists, {', '.join(_OPERATORS)}."
    return "" if _OPERAND_IS_RIGHT[operator](operand) else f"the operand of '{operator}' is wrong: {operand!r}."


def _is_texts(operand: Json) -> bool:
    return bool(_listed(operand)) and all(isinstance(one, str) for one in _listed(operand))


def _is_texts_or_folded(operand: Json) -> bool:
    if isinstance(operand, Mapping):
        return list(operand) == ["equals-ignore-case"] and _is_texts(operand["equals-ignore-case"])
    return _is_texts(operand)


def _is_comparison(operand: Json) -> bool:
    return (
        isinstance(operand, list)
        and len(operand) in (2, 4)
        and all(sign in _COMPARE for sign in operand[::2])
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in operand[1::2])
    )


def _is_exclusion(operand: Json) -> bool:
    if isinstance(operand, Mapping):
        texts = ("prefix", "suffix", "equals-ignore-case", "wildcard")
        return len(operand) == 1 and next(iter(operand)) in texts and not _check_condition(operand)
    return bool(_listed(operand)) and all(isinstance(one, str | int | float) for one in _listed(operand))


def _is_network(operand: Json) -> bool:
    try:
        ipaddress.ip_network(operand, strict=False)
    except ValueError:
        return False
    return isinstance(operand, str)


_OPERAND_IS_RIGHT: dict[str, Callable[[Json], bool]] = {
    "prefix": _is_texts_or_folded,
    "suffix": _is_texts_or_folded,
    "equals-ignore-case": _is_texts,
    "wildcard": _is_texts,
    "numeric": _is_comparison,
    "anything-but": _is_exclusion,
    "cidr": _is_network,
}
