"""Heads of requests that were read before: a client sends the same one each time, but for the content-length.

Parsing the head of a small request costs more than checking its body. One that is equal to the byte to what the parser
took as a whole, but for those digits, is not parsed again: it says the same. Who sends it is asked all the same.
"""

import re
from collections.abc import Mapping

_LONGEST = 4096  # bytes of a head that is remembered
_MOST = 64  # heads; more are forgotten all at once: there are as many as kinds of clients
_DIGITS = 9  # of a length: more is refused by any limit
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"
# What changes how a request is read, or is answered before its body came.
_UNLIKE = frozenset({b"transfer-encoding", b"expect", b"origin", b"upgrade", b"trailer"})


class Head:
    """A head of before, in its bytes around the content-length; the names of `headers` are in lower case."""

    __slots__ = ("_after", "_at", "_before", "headers", "path")

    def __init__(self, before: bytes, after: bytes, path: bytes, headers: Mapping[bytes, bytes]) -> None:
        self._before = before
        self._after = after
        self._at = len(before)
        self.path = path
        self.headers = headers  # with the length of the request that it was learned from

    def fit(self, data: bytes) -> tuple[int, int] | None:
        """Return where the body starts and how long it is said to be, if `data` begins with this head; else None."""
        if not data.startswith(self._before):
            return None
        end = data.find(self._after[:1], self._at, self._at + _DIGITS + 1)
        digits = data[self._at : end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        return end + len(self._after), int(digits)


class Heads:
    """The heads that all connections of a server share; a POST each."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], Head] = {}

    def find(self, data: bytes) -> Head | None:
        """Return the head that `data` begins with, if one like it was learned."""
        parts = _around_length(data)
        return None if parts is None else self._known.get(parts)

    def learn(self, raw: bytes, path: bytes, headers: Mapping[bytes, bytes]) -> Head | None:
        """Remember the head of a POST that was read as a whole; None if more than its length may change how it is read.

        `headers` is what the parser made of it, whose connection goes on.
        """
        parts = _around_length(raw)
        lines = raw.count(b"\r\n")
        if parts is None or raw.lower().count(b"content-length") != 1 or not _UNLIKE.isdisjoint(headers):
            return None
        if not raw.startswith(b"POST ") or not raw.partition(b"\r\n")[0].endswith(b" HTTP/1.1"):
            return None
        if raw.count(b"\r") != lines or raw.count(b"\n") != lines:  # else the parser may see other lines than we do
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[parts] = head = Head(*parts, path, headers)
        return head


def head_of(data: bytes) -> bytes:
    """Return the head that stands at the beginning, with the empty line; b"" if it is not whole, or too long."""
    end = data.find(_END, 0, _LONGEST)
    return data[: end + len(_END)] if end >= 0 else b""


def _around_length(data: bytes) -> tuple[bytes, bytes] | None:
    """Return what stands before and after the digits of the content-length."""
    found = _LENGTH.search(data, 0, _LONGEST)
    if found is None:
        return None
    start, end = found.span(1)
    last = data.find(_END, end, _LONGEST)
    return (data[:start], data[end : last + len(_END)]) if last >= 0 else None
