"""Whether bytes are a valid protobuf message, found out in pieces: the parsed form of 20 MiB would take hundreds.

Any run of whole fields is a message of the same type again (protobuf joins messages by joining their bytes), so a large
message is valid if its runs are, and a large submessage is one of its own.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

PIECE = 512 * 1024  # bytes that are parsed at once
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_DEPTH = 20  # of submessages that are taken apart; the parser has its own limit for what lies deeper
_TAG_BYTES = 5  # as the parser has it


class OddError(Exception):
    """A message that is not read here, but by the parser as a whole."""


def check(request: type[Message], body: bytes | memoryview, depth: int = 0) -> None:
    """Return if `body` is a valid message. Raises DecodeError."""
    if len(body) <= PIECE or depth > _DEPTH:
        request.FromString(bytes(body))
        return
    view = memoryview(body)
    try:
        runs = list(_runs(view, request.DESCRIPTOR))  # type: ignore[arg-type]  # the C class has the same members
    except OddError:
        request.FromString(bytes(body))  # what is wrong with it is the parser's to say
        return
    for start, end, inner in runs:
        if inner is None:
            request.FromString(bytes(view[start:end]))
        else:
            check(GetMessageClass(inner), view[start:end], depth + 1)


def _runs(view: memoryview, descriptor: Descriptor) -> Iterator[tuple[int, int, Descriptor | None]]:
    """Yield (start, end, None) for runs of fields, and (start, end, type) for a submessage too large for one."""
    start = position = 0
    while position < len(view):
        value, end, number = field(view, position)
        if end - start > PIECE and position > start:
            yield start, position, None
            start = position
        if end - position > PIECE:
            inner = _message(descriptor, number)
            if inner is not None:
                yield value, end, inner
                start = end
        position = end
    if position > start:
        yield start, position, None


def _message(descriptor: Descriptor, number: int) -> Descriptor | None:
    field = descriptor.fields_by_number.get(number)
    return field.message_type if field is not None and field.type == FieldDescriptor.TYPE_MESSAGE else None


def field(view: memoryview, position: int) -> tuple[int, int, int]:
    """Return where a field's value starts and ends, and the field's number. Raises OddError."""
    tag, value = _varint(view, position)
    kind = tag & 7
    if kind == _BYTES:
        length, value = _varint(view, value)
        end = value + length
    elif kind == _VARINT:
        end = _varint(view, value)[1]
    elif kind in _FIXED:
        end = value + _FIXED[kind]
    else:
        raise OddError
    if end > len(view) or tag < 1 << 3 or tag >= 1 << 7 * _TAG_BYTES:
        raise OddError
    return value, end, tag >> 3


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while position < len(view) and shift < 64:  # bits
        byte = view[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # the last byte has no high bit
            return number, position
        shift += 7
    raise OddError
