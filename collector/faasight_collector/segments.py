"""The journal's file format: records with length, checksum and digest, and how to read them back after any crash.

A record is `magic, payload length, CRC32, digest, payload`. The digest names the request: the same bytes sent again
(a client that lost our answer) are known by it. The CRC covers length, digest and payload.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

MAGIC = b"\xf5FS1"  # 0xF5 occurs in no UTF-8 text, so that a search for it rarely stops inside a payload
_HEADER = struct.Struct("<4sII16s")
_COVERED = struct.Struct("<I16s")
HEADER_BYTES = _HEADER.size
SIGNALS = ("traces", "logs", "metrics", "records")
LINES = "records"  # the one signal whose payloads are lines of JSON; the others are protobuf messages


@dataclass(frozen=True, slots=True)
class Record:
    """One accepted request."""

    digest: bytes
    payload: memoryview


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no valid record."""

    offset: int
    data: memoryview
    reason: str
    torn: bool  # the write was cut short: nobody was told that it is safe


@dataclass(frozen=True, slots=True)
class Segment:
    """A journal file that is complete: its bytes never change, so that its id can be a deduplication token."""

    signal: str
    id: str
    path: Path
    bytes: int
    created_ms: int
    split: bool = False  # the engine refused it as a whole; it is stored in parts
    shipped_ns: int = 0  # when it was stored, before this process began; it is sent again to be sure

    @property
    def replay(self) -> bool:
        """Whether the store most likely has it."""
        return self.shipped_ns > 0


def digest_of(signal: str, payload: bytes) -> bytes:
    """Return the 16 bytes that name a request; the same bytes for another signal are another request."""
    digest = hashlib.sha256(signal.encode())
    digest.update(payload)
    return digest.digest()[:16]


def encode_header(payload: bytes, digest: bytes) -> bytes:
    """Return what stands before `payload` in a segment."""
    return _HEADER.pack(MAGIC, len(payload), _checksum(digest, payload), digest)


def _checksum(digest: bytes, payload: bytes | memoryview) -> int:
    return isal_zlib.crc32(payload, isal_zlib.crc32(_COVERED.pack(len(payload), digest)))


def scan(data: bytes | memoryview) -> Iterator[Record | Damage]:
    """Yield every record of a segment's bytes, and what could not be read between them.

    After damage the search goes on at the next valid record. Damage that reaches the end and is no complete record
    is a torn tail: the process or machine stopped in the middle of a write.
    """
    view, whole = memoryview(data), bytes(data) if isinstance(data, memoryview) else data
    position, end = 0, len(view)
    while position < end:
        record = _record_at(view, position)
        if record is not None:
            yield record
            position += HEADER_BYTES + len(record.payload)
            continue
        following = _next_record(whole, view, position + 1)
        complete = _is_complete(view, position)
        yield Damage(
            position,
            view[position:following],
            "checksum mismatch" if complete else "unreadable bytes between records" if following < end else "torn tail",
            torn=following == end and not complete,
        )
        position = following


def _header_at(view: memoryview, position: int) -> tuple[int, int, bytes] | None:
    """Return (length, checksum, digest) if a header and its whole payload lie at `position`."""
    if len(view) - position < HEADER_BYTES:
        return None
    magic, length, checksum, digest = _HEADER.unpack_from(view, position)
    if magic != MAGIC or position + HEADER_BYTES + length > len(view):
        return None
    return length, checksum, digest


def _is_complete(view: memoryview, position: int) -> bool:
    return _header_at(view, position) is not None


def _record_at(view: memoryview, position: int) -> Record | None:
    header = _header_at(view, position)
    if header is None:
        return None
    length, checksum, digest = header
    start = position + HEADER_BYTES
    payload = view[start : start + length]
    return Record(digest, payload) if _checksum(digest, payload) == checksum else None


def _next_record(whole: bytes, view: memoryview, position: int) -> int:
    """Return where the next valid record starts, or the end."""
    while (found := whole.find(MAGIC, position)) >= 0:
        if _record_at(view, found) is not None:
            return found
        position = found + 1
    return len(view)


def digests(path: Path) -> Iterator[bytes]:
    """Yield the digests of a sound segment by its headers alone; stops at the first damage."""
    size = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        while position + HEADER_BYTES <= size:
            file.seek(position)
            magic, length, _, digest = _HEADER.unpack(file.read(HEADER_BYTES))
            if magic != MAGIC:
                return
            yield digest
            position += HEADER_BYTES + length


def join(signal: str, records: Sequence[Record]) -> bytes:
    """Return records in the form that the store lands: lines as they are, messages each with its length before it."""
    if signal == LINES:
        return b"".join([record.payload for record in records])
    parts: list[bytes | memoryview] = []
    for record in records:
        parts.append(varint(len(record.payload)))
        parts.append(record.payload)
    return b"".join(parts)


def varint(number: int) -> bytes:
    """Return a protobuf variable-length integer."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
