"""Payload templates (Parameters, ResultSelector, ItemSelector): keys that end in `.$` are paths or intrinsics."""

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import PARAMETER_PATH, StatesError
from faasight_emulator.states.intrinsics import evaluate
from faasight_emulator.states.paths import read


def fill(template: Json, value: Json, context: Json) -> Json:
    """Return a template with its paths and intrinsics replaced. Raises StatesError."""
    if isinstance(template, list):
        return [fill(one, value, context) for one in template]
    if not isinstance(template, dict):
        return template
    filled = {}
    for key, one in template.items():
        if not key.endswith(".$"):
            filled[key] = fill(one, value, context)
        elif not isinstance(one, str):
            raise StatesError(PARAMETER_PATH, f"the value of '{key}' must be a path or an intrinsic function")
        else:
            filled[key[:-2]] = find(one, value, context)
    return filled


def find(text: str, value: Json, context: Json) -> Json:
    """Return what a path or an intrinsic function gives. Raises StatesError."""
    return evaluate(text, value, context) if text.startswith("States.") else read(text, value, context)
