"""The documented shapes of events, from the samples of the wrapper's tests, to compare real ones with."""

import json
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[1] / "instrumentation" / "events"
# Filled in by the sender: their keys are not those of the shape.
_FREE = {"MessageAttributes", "messageAttributes", "Keys", "NewImage", "OldImage", "attributes"}


def missing_keys(sample: str, event: Any) -> set[str]:
    """Return the paths of a sample's keys that an event does not have; a list is known by its first item."""
    wanted = _paths(json.loads((SAMPLES / sample).read_text()))
    return wanted - _paths(event)


def _paths(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return _paths(value[0], f"{path}[]") if value else set()
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, inner in value.items():
        here = f"{path}.{key}"
        found |= {here} | (set() if key in _FREE else _paths(inner, here))
    return found
