"""JSONata in state machines: `{% ... %}` in any text of a state, with $states and the variables that states assign.

Source: Step Functions developer guide, "Transforming data with JSONata". The language itself is jsonata-python's.
"""

import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import QUERY, StatesError

if TYPE_CHECKING:
    from jsonata import Jsonata

_BEGIN, _END = "{%", "%}"
_LIMITS = (5_000, 200)  # milliseconds and depth of one expression


@dataclass(frozen=True, slots=True)
class Query:
    """What the expressions of a state see: $states, and variables."""

    states: Mapping[str, Json]
    variables: Mapping[str, Json]

    def having(self, **more: Json) -> "Query":
        """Return it with more in $states: `result`, `errorOutput` or another `context`."""
        return replace(self, states={**self.states, **more})

    def of(self, template: Json) -> Json:
        """Return any JSON with its expressions replaced by what they give. Raises StatesError."""
        if isinstance(template, dict):
            return {key: self.of(one) for key, one in template.items()}
        if isinstance(template, list):
            return [self.of(one) for one in template]
        return self._evaluated(template) if is_expression(template) else template

    def holds(self, condition: Json) -> bool:
        """Return what a Choice's condition gives. Raises StatesError if that is no boolean."""
        value = self.of(condition)
        if not isinstance(value, bool):
            raise StatesError(QUERY, f"the condition '{condition}' gives {json.dumps(value)}, which is no boolean")
        return value

    def number(self, wanted: Json) -> float:
        """Return a number. Raises StatesError if it is none."""
        value = self.of(wanted)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StatesError(QUERY, f"'{wanted}' gives {json.dumps(value)}, which is no number")
        return float(value)

    def _evaluated(self, text: str) -> Json:
        source = text.strip()[len(_BEGIN) : -len(_END)].strip()
        try:
            expression = _parsed(source)
            frame = expression.create_frame()
            frame.set_runtime_bounds(*_LIMITS)
            for name, value in {**self.variables, "states": self.states}.items():
                frame.bind(name, value)
            # As JSON, for what is no value (a function) is an error, and the library's own lists are left behind.
            return json.loads(json.dumps(expression.evaluate(None, frame), allow_nan=False))
        except Exception as error:  # the library raises its own, and what Python raises in it
            raise StatesError(QUERY, f"the JSONata expression '{source}' failed: {error}") from error


def is_expression(value: Json) -> bool:
    """Whether a value is a text that is to be evaluated."""
    return isinstance(value, str) and value.strip().startswith(_BEGIN) and value.strip().endswith(_END)


def problem_in(template: Json) -> str | None:
    """Return what is wrong with the first expression that cannot be parsed; None if all can."""
    if isinstance(template, dict | list):
        parts = template.values() if isinstance(template, dict) else template
        return next((problem for problem in map(problem_in, parts) if problem), None)
    if not is_expression(template):
        return None
    source = template.strip()[len(_BEGIN) : -len(_END)].strip()
    try:
        _parsed(source)
    except Exception as error:  # noqa: BLE001 -- the parser's own have no common class
        return f"has an expression that is no JSONata ({error}): {source}"
    return None


@lru_cache(maxsize=512)
def _parsed(source: str) -> "Jsonata":
    from jsonata import Jsonata  # a tenth of a second, which only templates with JSONata pay

    expression = Jsonata(source)
    for name, function in _FUNCTIONS.items():
        expression.register_lambda(name, function)
    return expression


def _partition(array: list[Json], size: int) -> list[list[Json]]:
    return [array[start : start + int(size)] for start in range(0, len(array), int(size))]


def _range(first: float, last: float, step: float) -> list[float]:
    count = int((last - first) / step) + 1
    return [first + number * step for number in range(max(0, count))]


def _hash(value: Json, algorithm: str = "SHA-256") -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return hashlib.new(algorithm.replace("-", "").lower(), text.encode()).hexdigest()


def _random(seed: Any = None) -> float:  # noqa: ANN401 -- any number
    return random.Random(seed).random()  # noqa: S311 -- the language's, not for secrets


_FUNCTIONS = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": lambda: str(uuid.uuid4()),
    "parse": json.loads,
}
