"""Attribute values as they were sent: the tables keep their texts, and beside them the types that are no strings.

An AnyValue of OTLP is a text in the store: what a person reads and a query compares. Its type tells the text "0" from
the number 0. Arrays and maps are JSON; a member that JSON or the engine's bounded schema cannot hold stands there as an
object of one key, which no member of the sender's can be: {"bytesValue": base64}, {"doubleValue": "nan"},
{"arrayValue": base64 of protobuf}, {"mapValue": base64 of protobuf}.
"""

import base64
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value] | None"

_MARK = 'Value":"'  # in every text that has such a member


def types(column: str, keys: Collection[str]) -> dict[str, str]:
    """Return the type of each attribute by a column `types` ("int count", one a line); string where none is told."""
    found = dict.fromkeys(keys, "string")
    longest_first = sorted(keys, key=len, reverse=True)  # a key may hold a line break: the longest that fits is meant
    rest = column
    while rest:
        kind, _, rest = rest.partition(" ")
        key = next((key for key in longest_first if rest == key or rest.startswith(key + "\n")), None)
        if key is None:  # of an attribute that has a column of its own
            key = rest.partition("\n")[0]
        found[key] = kind
        rest = rest[len(key) + 1 :]
    return found


def attributes(texts: Mapping[str, str], column: str) -> dict[str, Value]:
    """Return attributes with the values that were sent, from their texts and the column `types`."""
    kinds = types(column, texts)
    return {key: decode(text, kinds[key]) for key, text in texts.items()}


def decode(text: str, kind: str) -> Value:
    """Return a value as it was sent; `kind` is none, string, bool, int, double, array, map or bytes."""
    return _READERS[kind](text)


_READERS: dict[str, Callable[[str], Value]] = {
    "none": lambda _: None,
    "string": str,
    "bool": lambda text: text == "true",
    "int": int,
    "double": float,
    "array": lambda text: [_member(item) for item in json.loads(text)],
    "map": lambda text: {key: _member(item) for key, item in json.loads(text).items()},
    "bytes": base64.b64decode,
}


def shown(text: str, kind: str) -> str:
    """Return a text for people: arrays and maps within arrays and maps as plain JSON, bytes in it as base64."""
    if kind not in {"array", "map"} or _MARK not in text:
        return text
    return json.dumps(decode(text, kind), ensure_ascii=False, separators=(",", ":"), default=_base64)


def all_shown(texts: dict[str, str], column: str) -> dict[str, str]:
    """Return `shown` of every attribute; `column` is the column `types`."""
    if "array " not in column and "map " not in column:  # nearly always: a trace has thousands of such spans
        return texts
    if not any(_MARK in text for text in texts.values()):
        return texts
    kinds = types(column, texts)
    return {key: shown(text, kinds[key]) for key, text in texts.items()}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _member(item: Any) -> Value:  # noqa: ANN401  # whatever JSON holds
    """Return a member of an array or a map."""
    if not isinstance(item, dict) or len(item) != 1:
        return item  # type: ignore[no-any-return]
    ((form, text),) = item.items()
    if form == "doubleValue":
        return float(text)
    if form == "bytesValue":
        return base64.b64decode(text)
    return _unpacked(form, base64.b64decode(text))


def _unpacked(form: str, data: bytes) -> Value:
    # Rare, and the messages take a tenth of a second to load.
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

    if form == "arrayValue":
        return _of_message(AnyValue(array_value=ArrayValue.FromString(data)))
    return _of_message(AnyValue(kvlist_value=KeyValueList.FromString(data)))


def _of_message(value: Any) -> Value:  # noqa: ANN401  # an AnyValue
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_of_message(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _of_message(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)  # type: ignore[no-any-return]


def key_values(encoded: Collection[str]) -> dict[str, str]:
    """Return attributes kept as protobuf KeyValue (here in base64) as texts."""
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    pairs = [KeyValue.FromString(base64.b64decode(data)) for data in encoded]
    return {pair.key: _text(_of_message(pair.value)) for pair in pairs}


def _text(value: Value) -> str:
    """Return a value as the store's texts have it."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bytes):
        return _base64(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_base64)
