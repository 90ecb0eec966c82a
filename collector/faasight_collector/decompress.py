"""Bodies unpacked within a limit: what a few kilobytes claim to be never fills the memory."""

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

from isal import isal_zlib

from faasight_collector.errors import Refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS = "gzip, zstd, deflate, identity"
TOO_LARGE = "too_large"  # the reason of a refusal
_MAX_STREAMS = 512  # in one body: each copies what follows it, and a million empty ones would take minutes
_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's names for its formats: "wbits"
_ZSTD_WINDOW_LOG = 25  # 32 MiB: more than any level below "ultra" asks for


class _Stream(Protocol):
    """One compressed stream, as zlib and zstd have it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_CORRUPT: tuple[type[Exception], ...] = (
    zlib.error,
    isal_zlib.IsalError,  # type: ignore[assignment]  # its stub declares the class as a value
    zstd.ZstdError,
    EOFError,
)


def decompress(encoding: str, body: bytes, limit: int) -> bytes:
    """Return the body as it was before its sender compressed it; at most `limit` bytes.

    Raises Refusal: 415 for an encoding that is not spoken here, 413 beyond the limit, 400 for corrupt or cut data.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return body
    opener = _OPENERS.get(encoding)
    if opener is None:
        raise Refusal("content_encoding", f"content-encoding {encoding[:40]!r} is not supported: {ENCODINGS}", http=415)
    try:
        return _unpack(opener, body, limit)
    except _CORRUPT as error:
        raise Refusal("corrupt_compression", f"the body is not valid {encoding}: {error}") from error


def _unpack(opener: Callable[[bytes], _Stream], body: bytes, limit: int) -> bytes:
    """Unpack all streams that lie one after the other in `body` (gzip members, zstd frames)."""
    parts: list[bytes] = []
    total, rest = 0, body
    for _ in range(_MAX_STREAMS):
        if not rest:
            break
        stream = opener(rest)
        part = stream.decompress(rest, limit + 1 - total)
        total += len(part)
        if total > limit:
            raise too_large(limit)
        if not stream.eof:
            raise EOFError("it ends too early")
        parts.append(part)
        rest = stream.unused_data
    if rest:
        raise Refusal("too_complex", f"the body is made of more than {_MAX_STREAMS} compressed streams", http=413)
    if not parts:
        raise EOFError("it is empty")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(limit: int) -> Refusal:
    """Return the refusal of a body beyond the limit."""
    return Refusal(TOO_LARGE, f"the body is larger than {limit} bytes, as sent or after decompression", http=413)


def _gzip(_: bytes) -> _Stream:
    stream: _Stream = isal_zlib.decompressobj(wbits=_GZIP)
    return stream


def _deflate(body: bytes) -> _Stream:
    # "deflate" means the zlib format, but some senders leave its header out.
    has_header = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(wbits=_ZLIB if has_header else _RAW)


def _zstd(_: bytes) -> _Stream:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_OPENERS: dict[str, Callable[[bytes], _Stream]] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "zstd": _zstd}
