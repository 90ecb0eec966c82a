"""Requests as the store lands them: each resource, with its telemetry, is a row.

An Export request is nothing but resources: the tag of field 1, a length, a message, and again. Without the tags that is
what the engine reads as length-delimited messages, and it has one level less to decode than if requests were its rows.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from faasight_collector.admit import REQUESTS
from faasight_collector.check import OddError, field
from faasight_collector.segments import LINES, Record

_RESOURCE = 0x0A  # field 1, a message: resource_spans, resource_logs, resource_metrics
_PIECE = 256 * 1024  # bytes: memory that is used again and again, and never given back in between
_CORRUPT = b"\x01\x0f"  # a row that no engine takes: there is no wire type 7


class Rows:
    """Records in the form that the store lands: lines as they are, resources each with its length before it.

    Read once, whole or in pieces of some 256 KiB, and let go of meanwhile, for a segment is not twice in memory. (All
    of it in one piece would be: memory whose pages the system has to find and to clear.) The length is in bytes.
    """

    def __init__(self, signal: str, records: Sequence[Record]) -> None:
        payloads = (record.payload for record in records)
        self._rows: deque[memoryview | bytes] = deque(
            payloads if signal == LINES else (_rows(signal, payload) for payload in payloads)
        )
        self._length = sum(map(len, self._rows))

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        whole = b"".join(self._rows)
        self._rows.clear()
        return whole

    def __iter__(self) -> Iterator[bytes]:
        while self._rows:
            yield from self._next()

    def _next(self) -> Iterator[bytes]:
        """Yield small rows together, or the parts of a large one."""
        few: list[memoryview | bytes] = []
        size = 0
        while self._rows and size + len(self._rows[0]) <= _PIECE:
            size += len(self._rows[0])
            few.append(self._rows.popleft())
        if few:
            yield b"".join(few)
            return
        row = self._rows.popleft()
        for start in range(0, len(row), _PIECE):
            yield bytes(row[start : start + _PIECE])


def _rows(signal: str, payload: memoryview) -> memoryview | bytes:
    """Return a request as rows. What later versions of OTLP may put beside the resources is left out.

    One that is no valid message becomes a row that the store refuses: the shipper knows what to do then.
    """
    if _is_one(payload):
        return payload[1:]
    try:
        return _joined(payload)
    except OddError:  # groups, which nobody sends any more: the parser knows where they end
        try:
            message = REQUESTS[signal].FromString(bytes(payload))
        except DecodeError:
            return _CORRUPT
        message.DiscardUnknownFields()
        return _joined(memoryview(message.SerializeToString()))


def _is_one(payload: memoryview) -> bool:
    """Tell whether a request is a single resource, as nearly all are."""
    size = len(payload)
    if not size or payload[0] != _RESOURCE:
        return False
    length = shift = 0
    for position in range(1, min(size, 6)):
        byte = payload[position]
        if byte < 0x80:  # the last byte of a length has no high bit
            return position + 1 + (length | byte << shift) == size
        length |= (byte & 0x7F) << shift
        shift += 7
    return False


def _joined(payload: memoryview) -> bytes:
    out = bytearray()  # a list of slices would take a hundred bytes for a row of two
    for start, end in _resources(payload):
        out += payload[start:end]
    return bytes(out)


def _resources(payload: memoryview) -> Iterator[tuple[int, int]]:
    """Yield where the length of each resource stands, and where the resource ends."""
    position = 0
    while position < len(payload):
        _, end, _ = field(payload, position)
        if payload[position] == _RESOURCE:
            yield position + 1, end
        position = end
