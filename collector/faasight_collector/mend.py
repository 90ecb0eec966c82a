"""Strings that are not Unicode and integers that are none, mended: one odd value must not cost the batch it came in.

JavaScript's and Java's strings are UTF-16: cut at a fixed length, they may end in half a character (a lone surrogate).
Their JSON carries it as an escape that no UTF-8 stands for, some protobuf writers as three bytes that are no UTF-8;
parsers refuse both, and with them everything else in the request. Here each becomes U+FFFD, as Unicode advises.

JavaScript has one type of numbers, and its SDK says "integer" of all that have no fraction: 1e20 too, which is beyond
64 bits. Here it becomes the double that it is.

All this is done only after a parser has refused, so that good requests pay nothing.
"""

import re
from functools import cache
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

# An escaped backslash, a whole pair and half a pair, in this order: what the first two take is not looked at again.
_ESCAPES = re.compile(
    rb"""\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"""
)
# A name with quotes that are not escaped, before a colon, stands in no string.
_INTEGERS = re.compile(
    rb""""(intValue|int_value|asInt|as_int)"(\s*:\s*)("?)(-?[0-9][0-9.]{0,400}(?:[eE]\+?[0-9]{1,3})?)\3"""
)
_DOUBLES = {b"intValue": b"doubleValue", b"int_value": b"double_value", b"asInt": b"asDouble", b"as_int": b"as_double"}
_LEAST, _MOST = -(2**63), 2**63 - 1


def json_text(body: bytes) -> bytes:
    """Return a JSON document without lone surrogates, and without integers of more than 64 bits."""
    return _INTEGERS.sub(_in_range, _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body))


def _in_range(found: re.Match[bytes]) -> bytes:
    name, colon, quote, number = found.groups()
    try:
        value = int(number) if number.lstrip(b"-").isdigit() else float(number)
    except ValueError:  # it has two points
        return found[0]
    if _LEAST <= value <= _MOST:
        return found[0]
    return b'"%s"%s%s%s%s' % (_DOUBLES[name], colon, quote, number, quote)


def protobuf_text(kind: type[Message], body: bytes) -> bytes | None:
    """Return a message whose strings are UTF-8; None if more is wrong with it than its strings."""
    try:
        message = _lenient(kind).FromString(body)  # type: ignore[arg-type]  # a class has a hash, whatever it hashes
    except DecodeError:
        return None
    _mend(message, cast(Descriptor, kind.DESCRIPTOR))
    return message.SerializeToString()


def _mend(message: Message, strict: Descriptor) -> None:
    """Make the bytes of every string UTF-8; `strict` is the same message's type with strings in it."""
    for field, value in message.ListFields():
        original = strict.fields_by_number[field.number]
        items = value if field.is_repeated else [value]
        if field.message_type is not None:
            for item in items:
                _mend(item, cast(Descriptor, original.message_type))
        elif original.type == FieldDescriptor.TYPE_STRING:
            mended = [item.decode("utf-8", "replace").encode() for item in items]
            if field.is_repeated:
                value[:] = mended
            else:
                setattr(message, field.name, mended[0])


@cache
def _lenient(kind: type[Message]) -> type[Message]:
    """Return the same message with bytes for strings: equal on the wire, but unchecked."""
    pool = DescriptorPool()
    _add(cast(FileDescriptor, kind.DESCRIPTOR.file), pool, set())
    return GetMessageClass(pool.FindMessageTypeByName(kind.DESCRIPTOR.full_name))


def _add(file: FileDescriptor, pool: DescriptorPool, known: set[str]) -> None:
    if file.name in known:
        return
    known.add(file.name)
    for needed in file.dependencies:
        _add(needed, pool, known)
    copy = FileDescriptorProto()
    file.CopyToProto(copy)
    for message in copy.message_type:
        _loosen(message)
    pool.Add(copy)


def _loosen(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.type = FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _loosen(nested)
