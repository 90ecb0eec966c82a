"""The journal's file format: records with length, checksum and digest, and how to read them back after any crash.

A record is `magic, payload length, CRC32 of the payload, digest, CRC32 of all this, payload`. The digest names the
request: the same bytes sent again (a client that lost our answer) are known by it. The header has a checksum of its own
because its length decides what is a torn tail (nobody was answered: it is cut off) and what is damage (somebody was).
"""

import contextlib
import hashlib
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

MAGIC = b"\xf5FS1"  # 0xF5 occurs in no UTF-8 text, so that a search for it rarely stops inside a payload
_FIELDS = struct.Struct("<4sII16s")
_HEADER = struct.Struct("<4sII16sI")
HEADER_BYTES = _HEADER.size
_FIELDS_BYTES = _FIELDS.size
SIGNALS = ("traces", "logs", "metrics", "records")
_LARGE = 4 * 1024 * 1024  # bytes of a file: two large pages
_SEEDS = {signal: hashlib.sha256(signal.encode()) for signal in SIGNALS}
LINES = "records"  # the one signal whose payloads are lines of JSON; the others are protobuf messages


class Record(NamedTuple):
    """One accepted request; a tuple, for a segment has some ten thousand."""

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
    digest = _SEEDS[signal].copy() if signal in _SEEDS else hashlib.sha256(signal.encode())
    digest.update(payload)
    return digest.digest()[:16]


def encode_header(payload: bytes, digest: bytes) -> bytes:
    """Return what stands before `payload` in a segment."""
    fields = _FIELDS.pack(MAGIC, len(payload), isal_zlib.crc32(payload), digest)
    return fields + isal_zlib.crc32(fields).to_bytes(4, "little")


def contents(path: Path) -> bytes | mmap.mmap:
    """Return a file's bytes; many of them in memory of few large pages, for to find and clear small ones costs more.

    The file is read, not mapped: an error of the disk is an OSError, not the end of the process.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if size < _LARGE:
            return file.readall()
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(AttributeError, OSError):  # a system that has none
            memory.madvise(mmap.MADV_HUGEPAGE)
        view = memoryview(memory)
        read = 0
        while read < size:
            count = file.readinto(view[read:])
            if not count:  # it was cut since
                return bytes(view[:read])
            read += count
    return memory


def scan(data: bytes | memoryview | mmap.mmap) -> Iterator[Record | Damage]:
    """Yield every record of a segment's bytes, and what could not be read between them.

    After damage the search goes on at the next valid record. Damage that reaches the end and is no complete record
    is a torn tail: the process or machine stopped in the middle of a write.
    """
    view, whole = memoryview(data), bytes(data) if isinstance(data, memoryview) else data
    position, end = 0, len(view)
    while position < end:
        header = _header_at(view, position)
        if header is None:
            following, reason = _next_record(whole, view, position + 1), "unreadable bytes between records"
            torn = following == end and _is_torn(view[position:])
        else:
            following, reason = position + HEADER_BYTES + header[0], "checksum mismatch"
            torn = following > end
        if torn:
            yield Damage(position, view[position:], "torn tail", torn=True)
            return
        payload = view[position + HEADER_BYTES : following]
        if header is not None and isal_zlib.crc32(payload) == header[1]:
            yield Record(header[2], payload)
        else:
            yield Damage(position, view[position:following], reason, torn=False)
        position = following


def _header_at(view: memoryview | bytes, position: int) -> tuple[int, int, bytes] | None:
    """Return length, checksum and digest of the sound header at `position`, wherever its payload ends."""
    if len(view) - position < HEADER_BYTES:
        return None
    magic, length, checksum, digest, own = _HEADER.unpack_from(view, position)
    if magic != MAGIC or own != isal_zlib.crc32(view[position : position + _FIELDS_BYTES]):
        return None
    return length, checksum, digest


def _is_torn(rest: memoryview) -> bool:
    """Tell whether the bytes at a segment's end are a header that was cut short, or room that was never written to."""
    return (len(rest) < HEADER_BYTES and MAGIC.startswith(bytes(rest[:4]))) or not bytes(rest).strip(b"\0")


def _next_record(whole: bytes | mmap.mmap, view: memoryview, position: int) -> int:
    """Return where the next valid record starts, or the end."""
    while (found := whole.find(MAGIC, position)) >= 0:
        header = _header_at(view, found)
        if header is not None and found + HEADER_BYTES + header[0] <= len(view):
            return found
        position = found + 1
    return len(view)


def digests(path: Path) -> Iterator[bytes]:
    """Yield the digests of a segment's sound records.

    Their payloads are checked, too: a crash may have spoiled one whose header is whole, before anybody was told that it
    is safe. Its request comes again, and must not be taken for known.
    """
    return (item.digest for item in scan(path.read_bytes()) if isinstance(item, Record))


def varint(number: int) -> bytes:
    """Return a protobuf variable-length integer."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
