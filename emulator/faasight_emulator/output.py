"""What a sandbox prints: its pipes, cut into the records that become `function` events."""

import asyncio
import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

MAX_RECORD = 256 * 1024  # CloudWatch cuts a line here
_CHUNK = 64 * 1024
_PIPE_CHUNKS = 16  # a pipe holds 64 KB, 1 MB at most

# One record and when it was written; None: now.
OnRecord = Callable[[str, datetime | None], None]


class Splitter(Protocol):
    """Cuts a stream of bytes into records."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def end(self) -> None:
        """Take the end of the stream."""


class Lines:
    """Standard output and error: a record a line."""

    def __init__(self, on_record: OnRecord) -> None:
        self._on_record = on_record
        self._partial = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; a line that is too long is cut."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._partial) > MAX_RECORD:
            self._emit(self._partial[:MAX_RECORD])
            self._partial = self._partial[MAX_RECORD:]

    def end(self) -> None:
        """Take a last line without its end."""
        self._emit(self._partial)
        self._partial = b""

    def _emit(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if text:
            self._on_record(text, None)


class Frames:
    """The log pipe of Lambda's runtimes (_LAMBDA_TELEMETRY_LOG_FD), which keeps a record of several lines in one piece.

    A frame is a type (4 bytes, the first three a5 5a 00), a length (4), microseconds since 1970 (8), and the text;
    numbers are big-endian.
    """

    _HEAD = struct.Struct(">IIQ")
    _MAGIC = 0xA55A00

    def __init__(self, on_record: OnRecord) -> None:
        self._on_record = on_record
        self._partial = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes. What is no frame is dropped: only the runtime client writes here."""
        self._partial += data
        while len(self._partial) >= self._HEAD.size:
            kind, length, microseconds = self._HEAD.unpack_from(self._partial)
            end = self._HEAD.size + length
            if kind >> 8 != self._MAGIC:
                self._partial = b""
                return
            if len(self._partial) < end:
                return
            text = self._partial[self._HEAD.size : end].decode("utf-8", "replace").rstrip("\n")
            self._partial = self._partial[end:]
            if text:
                self._on_record(text[:MAX_RECORD], datetime.fromtimestamp(microseconds / 1e6, UTC))

    def end(self) -> None:
        """Drop half a frame."""
        self._partial = b""


class Pipe:
    """A pipe whose reading end is read by the event loop; `write_end` is for the child."""

    def __init__(self, splitter: Splitter) -> None:
        self._loop = asyncio.get_running_loop()
        self._splitter = splitter
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self._read)

    def drain(self) -> None:
        """Take what the pipe holds now, so that it stands before the report that follows."""
        for _ in range(_PIPE_CHUNKS):
            if not self._read():
                return

    def close_write_end(self) -> None:
        """Leave the writing to the child alone."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def close(self) -> None:
        """Take what is left and close the pipe."""
        self.close_write_end()
        self.drain()
        if self._read_end >= 0:
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
            self._read_end = -1
            self._splitter.end()

    def _read(self) -> bool:
        """Take one chunk; one that prints without end must not hold the loop. Returns whether there was any."""
        if self._read_end < 0:
            return False
        try:
            data = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            self._splitter.feed(data)
        else:
            self._loop.remove_reader(self._read_end)  # at its end it would be ready for ever
        return bool(data)
