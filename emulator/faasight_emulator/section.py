"""A view on one mapping of a template: a key is resolved and type-checked when it is read."""

import json
from collections.abc import Iterator

from faasight_emulator.document import Document, Steps, Value
from faasight_emulator.errors import TemplateError
from faasight_emulator.intrinsics import NO_VALUE, Resolver, text_of


class Section:
    """Typed getters over one mapping. Only what is read is resolved, so that what we do not use cannot fail."""

    def __init__(self, document: Document, resolver: Resolver, values: Value, steps: Steps) -> None:
        self._document = document
        self._resolver = resolver
        self.steps = steps
        if values is NO_VALUE or values is None:
            values = {}
        if not isinstance(values, dict):
            raise document.error(steps, f"must be a mapping, not {_kind(values)}.")
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def error(self, key: str, message: str) -> TemplateError:
        """Return an error that names the key's file, line and path."""
        return self._document.error((*self.steps, key) if key else self.steps, message)

    def value(self, key: str) -> Value:
        """Return the resolved value of a key, None if it is absent."""
        value = self._resolver.resolve(self._values.get(key), (*self.steps, key))
        return None if value is NO_VALUE else value

    def raw(self, key: str) -> Value:
        """Return what stands in the template, unresolved; None if the key is absent."""
        return self._values.get(key)

    def over(self, document: Document) -> "Section":
        """Return the whole of another file, with this template's intrinsics."""
        return Section(document, self._resolver, document.values, ())

    def section(self, key: str, *, plain: bool = False) -> "Section":
        """Return a mapping inside this one; an absent one is empty. Its own intrinsics stay until they are read.

        With `plain` it is the mapping as it stands, even if that is an intrinsic.
        """
        value = self._values.get(key)
        steps = (*self.steps, key)
        if not plain and isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref")):
            value = self._resolver.resolve(value, steps)
        return Section(self._document, self._resolver, value, steps)

    def text(self, key: str, default: str | None = None) -> str:
        """Return text; a number or a boolean counts as its text. Without a default the key must be there."""
        value = self.value(key)
        if value is None:
            if default is None:
                raise self.error("", f"has no '{key}'; add it.")
            return default
        if isinstance(value, dict | list):
            raise self.error(key, f"must be text, not {_kind(value)}.")
        return text_of(value)

    def optional_text(self, key: str) -> str | None:
        """Return text, or None if the key is absent."""
        return None if self.value(key) is None else self.text(key)

    def json_text(self, key: str) -> str | None:
        """Return JSON as text, written as text or as YAML; None if the key is absent."""
        given = self.value(key)
        text: str | None = given if given is None or isinstance(given, str) else json.dumps(given)
        if text is not None:
            try:
                json.loads(text)
            except ValueError as error:
                raise self.error(key, f"is not JSON ({error}); correct it.") from error
        return text

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.value(key)
        if value is None:
            return default
        number = int(value) if isinstance(value, str) and value.strip().lstrip("-").isdigit() else value
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise self.error(key, f"is {value!r}; must be a whole number from {low} to {high}.")
        return number

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        """Return a whole number, or None if the key is absent."""
        return None if self.value(key) is None else self.integer(key, low, low, high)

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean; the texts true and false count."""
        value = self.value(key)
        if value is None:
            return default
        if text_of(value).lower() not in ("true", "false"):
            raise self.error(key, f"is {value!r}; must be true or false.")
        return text_of(value).lower() == "true"

    def items(self, key: str) -> list[Value]:
        """Return a list; an absent one is empty."""
        value = self.value(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(key, f"must be a list, not {_kind(value)}.")
        return value

    def sections(self, key: str) -> list["Section"]:
        """Return a list of mappings; an absent one is empty."""
        steps = (*self.steps, key)
        return [
            Section(self._document, self._resolver, one, (*steps, index)) for index, one in enumerate(self.items(key))
        ]


def _kind(value: Value) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number", bool: "a boolean"}
    return names.get(type(value), "nothing")
