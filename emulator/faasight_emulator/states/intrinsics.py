"""The intrinsic functions of Amazon States Language: States.Format, States.Array, States.MathAdd and the others."""

import base64
import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable
from typing import Any

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import INTRINSIC, StatesError
from faasight_emulator.states.paths import read

_NAME = re.compile(r"\s*(States\.\w+)\s*\(")
_TEXT = re.compile(r"\s*'((?:[^'\\]|\\.)*)'")
_LITERAL = re.compile(r"\s*(true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_MAX_ARRAY = 1000
_MAX_TEXT = 10_000


def evaluate(text: str, value: Json, context: Json) -> Json:
    """Return what an intrinsic function gives. Raises StatesError (States.IntrinsicFailure)."""
    reader = _Reader(text, value, context)
    result = reader.call()
    if text[reader.at :].strip():
        raise _wrong(f"'{text}' goes on after its end")
    return result


class _Reader:
    """Reads and evaluates one expression from left to right; `at` is how far it has come."""

    def __init__(self, text: str, value: Json, context: Json) -> None:
        self._text = text
        self._value = value
        self._context = context
        self.at = 0

    def call(self) -> Json:
        found = _NAME.match(self._text, self.at)
        if found is None or found.group(1) not in _FUNCTIONS:
            raise _wrong(f"'{self._text[self.at :]}' is no intrinsic function; known: {', '.join(_FUNCTIONS)}")
        self.at = found.end()
        arguments = self._arguments()
        try:
            return _FUNCTIONS[found.group(1)](*arguments)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise _wrong(f"{found.group(1)}: {error}") from error

    def _arguments(self) -> list[Json]:
        arguments: list[Json] = []
        if self._taken(")"):
            return arguments
        while True:
            arguments.append(self._argument())
            if self._taken(")"):
                return arguments
            if not self._taken(","):
                raise _wrong(f"'{self._text}' lacks a comma or a closing bracket at {self.at}")

    def _taken(self, sign: str) -> bool:
        rest = self._text[self.at :]
        gap = len(rest) - len(rest.lstrip())
        if rest[gap : gap + 1] != sign:
            return False
        self.at += gap + 1
        return True

    def _argument(self) -> Json:
        if found := _TEXT.match(self._text, self.at):
            self.at = found.end()
            return re.sub(r"\\(.)", r"\1", found.group(1))
        if found := _LITERAL.match(self._text, self.at):
            self.at = found.end()
            return json.loads(found.group(1))
        rest = self._text[self.at :].lstrip()
        if rest.startswith("$"):
            return read(self._path(), self._value, self._context)
        return self.call()

    def _path(self) -> str:
        """Take a path: up to a comma or a bracket that is not within its own brackets."""
        depth, start = 0, self.at
        while self.at < len(self._text):
            sign = self._text[self.at]
            if depth == 0 and sign in ",)":
                break
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(sign, 0)
            self.at += 1
        return self._text[start : self.at].strip()


def _format(template: str, *values: Json) -> str:
    parts = re.split(r"(?<!\\)\{\}", template)
    if len(parts) != len(values) + 1:
        raise ValueError(f"has {len(parts) - 1} places for {len(values)} values")
    texts = [*(one if isinstance(one, str) else json.dumps(one) for one in values), ""]
    joined = "".join(part + text for part, text in zip(parts, texts, strict=True))
    return joined.replace("\\{", "{").replace("\\}", "}")


def _partition(items: list[Json], size: int) -> list[Json]:
    if size < 1:
        raise ValueError("the size must be at least 1")
    return [items[at : at + size] for at in range(0, len(items), size)]


def _range(first: int, last: int, step: int) -> list[int]:
    found = list(range(first, last + (1 if step > 0 else -1), step))
    if len(found) > _MAX_ARRAY:
        raise ValueError(f"gives more than {_MAX_ARRAY} items")
    return found


def _unique(items: list[Json]) -> list[Json]:
    seen: dict[str, Json] = {}
    for one in items:
        seen.setdefault(json.dumps(one, sort_keys=True), one)
    return list(seen.values())


def _contains(items: list[Json], wanted: Json) -> bool:
    return any(type(one) is type(wanted) and one == wanted for one in items)


def _item(items: list[Json], index: int) -> Json:
    if not isinstance(items, list) or not 0 <= index < len(items):
        raise IndexError(f"there is no item {index}")
    return items[index]


def _hash(data: Json, algorithm: str) -> str:
    known = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
    text = data if isinstance(data, str) else json.dumps(data)
    return hashlib.new(known[algorithm], text.encode()).hexdigest()


def _merge(first: dict[str, Json], second: dict[str, Json], deep: bool) -> Json:
    if deep:
        raise ValueError("deep merging is not supported by Step Functions; give false")
    return {**first, **second}


def _random(start: int, end: int, seed: int | None = None) -> int:
    return random.Random(seed).randrange(start, end)  # noqa: S311 -- no secret


def _split(text: str, separators: str) -> list[str]:
    return [part for part in re.split(f"[{re.escape(separators)}]", text) if part]


def _short(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise ValueError(f"takes at most {_MAX_TEXT} characters")
    return text


def _wrong(cause: str) -> StatesError:
    return StatesError(INTRINSIC, cause)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.Format": _format,
    "States.StringToJson": json.loads,
    "States.JsonToString": lambda value: json.dumps(value, separators=(",", ":")),
    "States.Array": lambda *values: list(values),
    "States.ArrayPartition": _partition,
    "States.ArrayContains": _contains,
    "States.ArrayRange": _range,
    "States.ArrayGetItem": _item,
    "States.ArrayLength": len,
    "States.ArrayUnique": _unique,
    "States.Base64Encode": lambda text: base64.b64encode(_short(text).encode()).decode(),
    "States.Base64Decode": lambda text: base64.b64decode(_short(text)).decode(),
    "States.Hash": _hash,
    "States.JsonMerge": _merge,
    "States.MathRandom": _random,
    "States.MathAdd": lambda first, second: int(first) + int(second),
    "States.StringSplit": _split,
    "States.UUID": lambda: str(uuid.uuid4()),
}
