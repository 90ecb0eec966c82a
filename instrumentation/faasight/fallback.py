"""What cannot be sent goes to stdout, as compact lines that the collector reads from the function's logs.

A line is `{"faasight.otlp": "traces", "z": base64 of zlib of the OTLP request}`: the very bytes that would have been
sent, so that a collector that got them after all keeps them once.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STDOUT = 1
_LOGS = "/v1/logs"
_MAX_LINE = 240_000  # bytes: CloudWatch Logs cuts an event at 256 KiB
_SMALL = 4_096  # bytes: a window of 2 ** 12
_PIECE = 4_096  # PIPE_BUF: a pipe that is ready takes as much without making us wait


class Stdout:
    """Writes lines to the process's stdout, and never waits for a reader beyond a deadline."""

    def __init__(self, descriptor: int = _STDOUT) -> None:
        self._descriptor = descriptor
        self._ready: Callable[[float], object] | None = None  # waits until it takes a piece, ms at most
        self._torn = False  # a line was cut off: the next one begins with a line break

    def write(self, path: str, body: bytes, deadline: float) -> bool:
        """Write one request as a line by `deadline` (time.monotonic); return whether it is out."""
        if path == _LOGS:
            return True  # each of its lines is there already
        line = _line(path, body)
        if len(line) > _MAX_LINE:
            return False
        try:
            return self._put(b"\n" + line if self._torn else line, deadline)
        except OSError:  # closed, or nobody reads any more
            return False

    def _put(self, line: bytes, deadline: float) -> bool:
        ready = self._ready
        if ready is None:
            ready = self._ready = _readiness(self._descriptor)
        rest = memoryview(line)
        while rest:
            if not ready(max(0.0, deadline - time.monotonic()) * 1000):
                self._torn = self._torn or len(rest) < len(line)
                return False
            rest = rest[os.write(self._descriptor, rest[:_PIECE]) :]
            self._torn = bool(rest)
        return True


def _readiness(descriptor: int) -> Callable[[float], object]:
    from select import POLLOUT, poll

    ready = poll()
    ready.register(descriptor, POLLOUT)
    return ready.poll


def _line(path: str, body: bytes) -> bytes:
    from binascii import b2a_base64

    signal = path.rpartition("/")[2].encode()
    return b'{"faasight.otlp":"%s","z":"%s"}\n' % (signal, b2a_base64(_compressed(body), newline=False))


def _compressed(body: bytes) -> bytes:
    """Return it as a zlib stream. One invocation's spans need no window of 32 KiB.

    The 268 KiB that zlib takes by default are mapped, touched and unmapped each time: 10 us against 20 to 50, and more
    where caches are cold; 24 KiB come from the heap, and what comes out is as short.
    """
    import zlib

    if len(body) > _SMALL:
        return zlib.compress(body, 1)
    small = zlib.compressobj(1, zlib.DEFLATED, 12, 4)
    return small.compress(body) + small.flush()
