"""Paths of Amazon States Language: reading by JSONPath ($ the value, $$ the context object), writing by reference."""

import copy
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import PARAMETER_PATH, RESULT_PATH, StatesError

if TYPE_CHECKING:
    from jsonpath_ng import JSONPath

# A path that may find several places gives a list of what it finds.
_MANY = re.compile(r"\.\.|\*|\[\s*\?|\[[^\]'\"]*[:,][^\]'\"]*\]")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")


def read(path: str, value: Json, context: Json) -> Json:
    """Return what a path finds. Raises StatesError (States.ParameterPathFailure) if that is nothing."""
    source = context if path.startswith("$$") else value
    text = path[1:] if path.startswith("$$") else path
    if text == "$":
        return source
    steps = _steps(text)
    if steps is not None:
        return _follow(steps, source, path)
    found = [match.value for match in _parsed(text).find(source)]
    if _MANY.search(text):
        return found
    if not found:
        raise StatesError(PARAMETER_PATH, f"The JSONPath '{path}' could not be found in the input.")
    return found[0]


def exists(path: str, value: Json, context: Json) -> bool:
    """Whether a path finds anything."""
    try:
        read(path, value, context)
    except StatesError:
        return False
    return True


def write(path: str, value: Json, result: Json) -> Json:
    """Return a copy of `value` with `result` at a reference path. Raises StatesError (ResultPathMatchFailure)."""
    if path == "$":
        return result
    steps = _steps(path)
    if not steps:
        raise StatesError(RESULT_PATH, f"'{path}' is no reference path; it may only name one place, as $.order.total.")
    whole = copy.deepcopy(value) if isinstance(value, dict | list) else value
    if not isinstance(whole, dict | list):
        raise StatesError(RESULT_PATH, f"Unable to apply the reference path '{path}' to an input that is no object.")
    at: Any = whole
    for step in steps[:-1]:
        at = _inside(at, step, path)
    last = steps[-1]
    if not (_has(at, last) or (isinstance(at, dict) and isinstance(last, str))):
        raise StatesError(RESULT_PATH, f"Unable to apply the reference path '{path}'.")
    at[last] = result
    return whole


def _has(value: Json, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _inside(at: Any, step: str | int, path: str) -> Json:  # noqa: ANN401 -- a JSON object or array
    """Return what is at one step of a value that is written into; an object that is not there is made."""
    if isinstance(at, dict) and isinstance(step, str):
        at.setdefault(step, {})
    found = at[step] if _has(at, step) else None
    if not isinstance(found, dict | list):
        raise StatesError(RESULT_PATH, f"Unable to apply the reference path '{path}': '{step}' is no object.")
    return found


def _follow(steps: list[str | int], source: Json, path: str) -> Json:
    for step in steps:
        if not _has(source, step):
            raise StatesError(PARAMETER_PATH, f"The JSONPath '{path}' could not be found in the input.")
        source = source[step]
    return source


def _steps(path: str) -> list[str | int] | None:
    """Return the steps of a path that names one place, None for any other."""
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or "*" in (found.group(1) or ""):
            return None
        name, index, quoted, quoted_twice = found.groups()
        steps.append(int(index) if index is not None else name or quoted or quoted_twice)
        at = found.end()
    return steps


@lru_cache(maxsize=512)
def _parsed(path: str) -> "JSONPath":
    from jsonpath_ng.ext.parser import parse  # a tenth of a second, which only templates with such a path pay

    try:
        return parse(path)
    except Exception as error:  # the parser's own errors have no common class
        raise StatesError(PARAMETER_PATH, f"'{path}' is no JSONPath: {error}") from error
