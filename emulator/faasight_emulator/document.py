"""A CloudFormation file as plain values, with the line on which each one stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from faasight_emulator.errors import TemplateError

Steps: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = Any  # what YAML holds: mappings, lists, text, numbers; typed when a Section reads it

# No real template comes near these; an alias bomb or a file that is no template does.
MAX_BYTES = 4 * 1024 * 1024
MAX_NODES = 200_000
MAX_DEPTH = 60

# The short tags; every other `!Name` is `Fn::Name`.
_PLAIN_TAGS = {"!Ref": "Ref", "!Condition": "Condition"}


@dataclass(frozen=True, slots=True)
class Document:
    """A template's values (dicts, lists, scalars; tags in their long form) and the line, from 1, of each path."""

    path: Path
    values: Mapping[str, Value]
    lines: Mapping[Steps, int]

    def line(self, steps: Steps) -> int:
        """Return the line of the nearest known ancestor of a path."""
        while steps and steps not in self.lines:
            steps = steps[:-1]
        return self.lines.get(steps, 1)

    def error(self, steps: Steps, message: str) -> TemplateError:
        """Return an error that says where in the file it is."""
        where = ".".join(str(step) for step in steps)
        return TemplateError(f"{self.path}:{self.line(steps)}: {where + ': ' if where else ''}{message}")


def read_document(path: Path) -> Document:
    """Read a YAML or JSON template.

    Raises:
        TemplateError: the file is missing, unreadable, no YAML, or not a mapping.

    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise TemplateError(
                f"{path}: is larger than {MAX_BYTES >> 20} MB; this is no template. Give the template's path."
            )
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path}: is not UTF-8 text; save the template as UTF-8.") from error
    except OSError as error:
        raise TemplateError(f"{path}: cannot be read ({error.strerror}); give the path of a SAM template.") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateError(
            f"{path}:{line}: is not valid YAML: {error.problem}; correct it and start again."
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise TemplateError(f"{path}: is not valid YAML: {error}; correct it and start again.") from error
    if not isinstance(node, yaml.MappingNode):
        raise TemplateError(f"{path}:1: is not a template: it must be a mapping with a Resources section.")
    reader = _Reader(path)
    values = reader.value(node, ())
    return Document(path, values, reader.lines)


class _Reader:
    """Turns YAML nodes into values and notes their lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Steps, int] = {}
        self._nodes = 0

    def value(self, node: yaml.Node, steps: Steps) -> Value:
        self._nodes += 1
        line = node.start_mark.line + 1
        self.lines.setdefault(steps, line)
        if self._nodes > MAX_NODES or len(steps) > MAX_DEPTH:
            raise TemplateError(
                f"{self.path}:{line}: the template is too large or nested too deep; remove its aliases."
            )
        plain = self._untagged(node, steps)
        if not node.tag.startswith("!") or node.tag == "!":
            return plain
        if node.tag == "!GetAtt" and isinstance(plain, str):
            plain = plain.split(".", 1)
        return {_PLAIN_TAGS.get(node.tag, f"Fn::{node.tag[1:]}"): plain}

    def _untagged(self, node: yaml.Node, steps: Steps) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, steps)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*steps, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, steps)

    def _mapping(self, node: yaml.MappingNode, steps: Steps) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise TemplateError(f"{self.path}:{line}: a key must be plain text.")
            key = str(key_node.value)
            if key in values:
                raise TemplateError(f"{self.path}:{line}: '{key}' stands here twice; remove one.")
            self.lines[(*steps, key)] = line
            values[key] = self.value(value_node, (*steps, key))
        return values

    def _scalar(self, node: yaml.Node, steps: Steps) -> Value:
        text = node.value
        # CloudFormation has no dates: 2010-09-09 is text.
        if node.tag.startswith("!") or node.tag.endswith((":str", ":timestamp", ":binary", ":merge", ":value")):
            return text
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise TemplateError(f"{self.path}:{self.lines[steps]}: '{text}' cannot be read: {error}") from error
