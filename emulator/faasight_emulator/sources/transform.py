"""What a rule's target gets of an event: all of it, a constant, a part of it, or a template filled from it.

Source: EventBridge user guide, "Input transformation". Paths are JSONPath in its dotted form, `$.detail.items[0].id`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from faasight_emulator.invocation import Json

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']+)'\]")
_PLACE = re.compile(r"<([A-Za-z0-9_.-]+)>")


@dataclass(frozen=True, slots=True)
class Input:
    """One target's choice. `constant` is JSON text; `paths` maps the names in `template` to paths."""

    constant: str | None = None
    path: str | None = None
    template: str | None = None
    paths: Mapping[str, str] = field(default_factory=dict)

    def of(self, event: Mapping[str, Json], rule: Mapping[str, str]) -> str:
        """Return the JSON text that the target gets. `rule` holds the names `aws.events.rule-arn` and `-name`."""
        if self.constant is not None:
            return self.constant
        if self.path is not None:
            return json.dumps(at(self.path, event))
        if self.template is None:
            return json.dumps(event)
        values: dict[str, Json] = {name: at(path, event) for name, path in self.paths.items()}
        values |= {**rule, "aws.events.event.json": event, "aws.events.event": _without_detail(event)}
        return fill(self.template, values)


def _without_detail(event: Mapping[str, Json]) -> Json:
    return {name: value for name, value in event.items() if name != "detail"}


def check_path(path: str) -> bool:
    """Return whether a path is one that `at` can follow."""
    return path.startswith("$") and not _STEP.sub("", path.removeprefix("$"))


def at(path: str, event: Json) -> Json:
    """Return the value at a path; None if there is none."""
    value = event
    for name, index, quoted in _STEP.findall(path):
        if index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name or quoted) if isinstance(value, Mapping) else None
    return value


def fill(template: str, values: Mapping[str, Json]) -> str:
    """Return a template with each `<name>` replaced, as text within quotes and as JSON elsewhere.

    A template that is no JSON afterwards is a text, and returned as a JSON string.
    """
    filled = "".join(_filled(part, quoted, values) for part, quoted in _parts(template))
    try:
        json.loads(filled)
    except ValueError:
        return json.dumps("".join(_PLACE.sub(lambda found: _plain(values.get(found.group(1))), template)))
    return filled


def _parts(template: str) -> list[tuple[str, bool]]:
    """Return the pieces of a template, each with whether it stands within quotes."""
    pieces = re.split(r'("(?:[^"\\]|\\.)*")', template)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces)]


def _filled(part: str, quoted: bool, values: Mapping[str, Json]) -> str:
    def replace(found: re.Match[str]) -> str:
        value = values.get(found.group(1))
        return json.dumps(_plain(value))[1:-1] if quoted else json.dumps(value)

    return _PLACE.sub(replace, part)


def _plain(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
