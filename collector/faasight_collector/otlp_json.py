"""OTLP/JSON turned into OTLP protobuf, so that there is one way into the journal.

The rules are those of protobuf's JSON mapping, with OTLP's own exceptions: ids are hexadecimal, enums are integers,
unknown fields are ignored (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding").
"""

import base64
import math
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from faasight_collector import otlp_typed

HEX_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})
MAX_DEPTH = 64  # of messages within messages; protobuf's own parser stops at 100

Convert = Callable[[Any, int], Any]  # (JSON value, depth) -> what the message's constructor takes


def encode(kind: type[Message], body: bytes | memoryview, depth: int = 0) -> bytes:
    """Return the protobuf bytes of the message that a JSON text describes, all of it in memory as objects meanwhile.

    Raises ValueError or TypeError with the field's name.
    """
    usual = otlp_typed.encode(kind.DESCRIPTOR.full_name, body)
    return usual if usual is not None else _encode_unusual(kind, body, depth)


def _encode_unusual(kind: type[Message], body: bytes | memoryview, depth: int) -> bytes:
    return kind(**fields(cast(Descriptor, kind.DESCRIPTOR), orjson.loads(body), depth)).SerializeToString()


def fields(descriptor: Descriptor, document: object, depth: int) -> dict[str, Any]:
    """Return what a message's constructor takes, from a parsed JSON object."""
    if not isinstance(document, dict):
        raise TypeError(f"{descriptor.name} must be an object")
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    known = converters(descriptor)
    values: dict[str, Any] = {}
    for name, value in document.items():
        if value is None or name not in known:
            continue
        field, convert = known[name]
        try:
            values[field] = convert(value, depth)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{name}: {error}") from None
    return values


@cache
def converters(descriptor: Descriptor) -> dict[str, tuple[str, Convert]]:
    """Return how to read each field of a message type, by both of its names (camelCase and snake_case)."""
    found: dict[str, tuple[str, Convert]] = {}
    for field in descriptor.fields:
        convert = _single(field)
        if field.is_repeated:
            convert = _attributes(convert) if _is_attributes(field) else _repeated(convert)
        found[field.camelcase_name] = found[field.name] = (field.name, convert)
    return found


def _single(field: FieldDescriptor) -> Convert:
    if field.message_type is not None:
        descriptor = field.message_type
        return lambda value, depth: fields(descriptor, value, depth + 1)
    if field.enum_type is not None:
        numbers = field.enum_type
        return lambda value, _: _enum(numbers, value)
    if field.type == FieldDescriptor.TYPE_BYTES and field.name in HEX_FIELDS:
        return _hex
    return _SCALARS[field.cpp_type] if field.type != FieldDescriptor.TYPE_BYTES else _base64


def _repeated(convert: Convert) -> Convert:
    def many(value: object, depth: int) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError("must be an array")
        return [convert(item, depth) for item in value]

    return many


def _is_attributes(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.name == "KeyValue"


def _attributes(convert: Convert) -> Convert:
    """Read attributes: most of what a body holds, and nearly all of them are a key and a text, seen at a glance."""

    def many(value: object, depth: int) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError("must be an array")
        return [_text_attribute(item) or convert(item, depth) for item in value]

    return many


def _text_attribute(item: object) -> dict[str, Any] | None:
    """Return an attribute that is a key and a text and nothing more, None for any other."""
    if type(item) is dict and len(item) == 2:  # key, value
        key, value = item.get("key"), item.get("value")
        if type(key) is str and type(value) is dict and len(value) == 1:
            text = value.get("stringValue")
            if type(text) is str:
                return {"key": key, "value": {"string_value": text}}
    return None


def _enum(descriptor: EnumDescriptor, value: object) -> int:
    if isinstance(value, str) and value in descriptor.values_by_name:
        return int(descriptor.values_by_name[value].number)
    return _integer(value)


def _integer(value: object, _: int = 0) -> int:
    if isinstance(value, bool):
        raise TypeError("must be an integer")
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return int(value)
    raise TypeError("must be an integer, as a number or a string")


def _float(value: object, _: int = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("must be a number")
    number = float(value)
    if isinstance(value, str) and not math.isfinite(number) and value not in {"NaN", "Infinity", "-Infinity"}:
        raise ValueError("must be a number, NaN, Infinity or -Infinity")
    return number


def _boolean(value: object, _: int = 0) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def _text(value: object, _: int = 0) -> str:
    if not isinstance(value, str):
        raise TypeError("must be a string")
    return value


def _hex(value: object, _: int = 0) -> bytes:
    return bytes.fromhex(_text(value))


def _base64(value: object, _: int = 0) -> bytes:
    text = _text(value).replace("-", "+").replace("_", "/")  # protobuf takes both alphabets, padded or not
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


_SCALARS: dict[int, Convert] = {
    FieldDescriptor.CPPTYPE_INT32: _integer,
    FieldDescriptor.CPPTYPE_INT64: _integer,
    FieldDescriptor.CPPTYPE_UINT32: _integer,
    FieldDescriptor.CPPTYPE_UINT64: _integer,
    FieldDescriptor.CPPTYPE_DOUBLE: _float,
    FieldDescriptor.CPPTYPE_FLOAT: _float,
    FieldDescriptor.CPPTYPE_BOOL: _boolean,
    FieldDescriptor.CPPTYPE_STRING: _text,
}
