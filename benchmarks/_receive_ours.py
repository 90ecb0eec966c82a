"""What the benchmark of receiving measures: a collector whose segments never fill, or a server that only answers.

_receive_ours.py DIRECTORY collector|bare    prints its address; ends with its standard input
"""

import asyncio
import sys
from pathlib import Path
from typing import cast

import structlog
import uvloop
from _access_ours import StoreAway  # beside this file
from faasight_collector import Collector, Settings
from faasight_store import Store

_NEVER_S = 3600.0
_LARGE = 1 << 32  # bytes
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


def collector(directory: Path) -> None:
    """Run a collector that seals nothing: all that costs is receiving."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = Settings(
        journal_dir=directory / "journal",
        http_port=0,
        grpc_port=None,
        segment_bytes=_LARGE,
        segment_age_s=_NEVER_S,
        segment_age_max_s=_NEVER_S,
    )
    running = Collector(settings, cast(Store, StoreAway()))
    running.start()
    print(f"ready {running.http_address}", flush=True)
    sys.stdin.read()
    running.stop()


class Bare(asyncio.Protocol):
    """Answers each request when its last byte came; of its head only the content-length, which stands last, is read."""

    def __init__(self) -> None:
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count; a client sends its next request after the answer."""
        if not self._missing:
            head, _, _ = data.partition(b"\r\n\r\n")
            self._missing = len(head) + 4 + int(head.rpartition(b"content-length: ")[2])
        self._missing -= len(data)
        if not self._missing:
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]  # a TCP transport writes


async def bare() -> None:
    """Answer until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"ready {host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    if sys.argv[2] == "bare":
        uvloop.run(bare())
    else:
        collector(Path(sys.argv[1]))
