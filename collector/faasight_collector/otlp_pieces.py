"""Large OTLP/JSON bodies converted piece by piece: 20 MB of JSON would be a gigabyte of Python objects.

A message larger than a piece is opened one level at a time, by a parser that gives its fields as views of the body;
what is smaller goes the way of `otlp_json`. One body is converted at a time. For 20 MiB of spans this takes the memory
of the body, of what it becomes and of one piece.
"""

import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import msgspec
import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from faasight_collector import otlp_typed
from faasight_collector.brackets import check_brackets
from faasight_collector.otlp_json import MAX_DEPTH, converters
from faasight_collector.otlp_json import encode as encode_whole
from faasight_collector.segments import varint

PIECE = 64 * 1024  # bytes of JSON that are parsed at once
_MAX_SCALARS = 1024 * 1024  # bytes of an array of numbers, such as the bucket counts of a histogram
_LENGTH_DELIMITED = 2  # protobuf's wire type of messages
_turn = threading.Lock()


class _Object(msgspec.Struct, gc=False):
    """Any JSON object, whose fields are passed over."""


def encode(kind: type[Message], body: bytes) -> bytes:
    """Return the protobuf bytes of a large body. Raises ValueError or TypeError, or Refusal (413) if it is a bomb."""
    check_brackets(body, "the body")
    with _turn:
        try:
            return bytes(_message(cast(Descriptor, kind.DESCRIPTOR), memoryview(body), 0))
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error


def _message(descriptor: Descriptor, raw: memoryview, depth: int) -> bytes | bytearray:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if len(raw) <= PIECE:
        return encode_whole(GetMessageClass(descriptor), raw, depth)
    usual = otlp_typed.encode(descriptor.full_name, raw) if len(raw) <= otlp_typed.LARGEST else None
    if usual is not None:
        return usual
    found = msgspec.json.decode(raw, type=_shallow(descriptor))
    out = bytearray()
    for field in descriptor.fields:
        for name in dict.fromkeys((field.camelcase_name, field.name)):
            value = getattr(found, name)
            if value is not msgspec.UNSET and bytes(memoryview(value)[:4]) != b"null":
                _named_field(out, field, memoryview(value), depth)
    return out


@cache
def _shallow(descriptor: Descriptor) -> type[msgspec.Struct]:
    """Return a type that parses a message's known fields as views of the text, by both of their names."""
    names = {name for field in descriptor.fields for name in (field.camelcase_name, field.name)}
    return msgspec.defstruct(descriptor.name, [(name, msgspec.Raw, msgspec.UNSET) for name in sorted(names)])


def _named_field(out: bytearray, field: FieldDescriptor, raw: memoryview, depth: int) -> None:
    try:
        _field(out, field, raw, depth)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise ValueError(f"{field.camelcase_name}: {error}") from None


def _field(out: bytearray, field: FieldDescriptor, raw: memoryview, depth: int) -> None:
    inner = field.message_type
    if inner is None:
        out += _scalars(field, raw)
        return
    tag = varint(field.number << 3 | _LENGTH_DELIMITED)
    for element in _elements(raw) if field.is_repeated else (raw,):
        message = _message(inner, element, depth + 1)
        out += tag
        out += varint(len(message))
        out += message


def _elements(raw: memoryview) -> Iterator[memoryview]:
    """Yield the elements of an array of objects."""
    msgspec.json.decode(raw, type=list[_Object])  # views of a million numbers would be 70 bytes each
    for element in msgspec.json.decode(raw, type=list[msgspec.Raw]):
        yield memoryview(element)


def _scalars(field: FieldDescriptor, raw: memoryview) -> bytes:
    if field.is_repeated and len(raw) > _MAX_SCALARS:
        raise ValueError(f"{field.camelcase_name}: an array of more than {_MAX_SCALARS} bytes")
    owner = cast(Descriptor, field.containing_type)
    name, convert = converters(owner)[field.name]
    value: Any = convert(orjson.loads(raw), 0)
    return GetMessageClass(owner)(**{name: value}).SerializeToString()
