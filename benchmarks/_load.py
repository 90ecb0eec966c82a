"""The load of the ingest benchmark: a process of its own that posts prepared OTLP requests over many connections.

_load.py ADDRESS SPANS REQUESTS CONNECTIONS [SIGNAL ENCODING]
    prints how many requests were accepted, and the seconds. ENCODING: protobuf, json, gzip or grpc.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import _requests  # beside this file

SERVICES = {"traces": "trace.v1.TraceService", "logs": "logs.v1.LogsService", "metrics": "metrics.v1.MetricsService"}


def requests(items: int, number: int, signal: str = "traces", encoding: str = "protobuf") -> list[bytes]:
    """Return whole HTTP requests, each with ids of its own."""
    kind = b"application/json" if encoding == "json" else b"application/x-protobuf"
    kind += b"\r\ncontent-encoding: gzip" if encoding == "gzip" else b""
    head = b"POST /v1/%s HTTP/1.1\r\nhost: x\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
    name = signal.encode()
    return [head % (name, kind, len(body)) + body for body in _requests.bodies(signal, items, number, encoding)]


class Client(asyncio.Protocol):
    """One connection: the next request goes out when the last one is answered."""

    def __init__(self, work: Iterator[bytes], done: asyncio.Future[int]) -> None:
        self._work = work
        self._done = done
        self._answer = b""
        self.ok = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Count a whole answer, and go on."""
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or b"0"):
            return
        self.ok += head.startswith(b"HTTP/1.1 200")
        self._answer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the base class has it
        """End early."""
        if not self._done.done():
            self._done.set_result(self.ok)

    def _next(self) -> None:
        body = next(self._work, None)
        if body is not None:
            self._transport.write(body)  # type: ignore[attr-defined]  # a TCP transport writes
        elif not self._done.done():
            self._done.set_result(self.ok)


async def run(address: str, work: list[bytes], connections: int) -> int:
    """Send everything and return how many were accepted."""
    loop = asyncio.get_running_loop()
    host, _, port = address.rpartition(":")
    shared = iter(work)
    ends = []
    for _ in range(connections):
        end: asyncio.Future[int] = loop.create_future()
        ends.append(end)
        await loop.create_connection(lambda end=end: Client(shared, end), host, int(port))  # type: ignore[misc]
    return sum(await asyncio.gather(*ends))


async def run_grpc(address: str, work: list[bytes], connections: int, signal: str) -> int:
    """Send everything over gRPC, one call at a time on each connection; return how many were accepted."""
    import grpc.aio

    method = f"/opentelemetry.proto.collector.{SERVICES[signal]}/Export"
    shared = iter(work)

    async def client() -> int:
        accepted = 0
        own = [("grpc.use_local_subchannel_pool", 1)]  # else all of them would share one connection
        async with grpc.aio.insecure_channel(address, options=own) as channel:
            call = channel.unary_unary(method)
            for body in shared:
                try:
                    await call(body, timeout=60)
                except grpc.aio.AioRpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        raise
                else:
                    accepted += 1
        return accepted

    return sum(await asyncio.gather(*(client() for _ in range(connections))))


def main() -> None:
    """Prepare, send, and print the number of accepted requests and the seconds it took."""
    address, items, number, connections = sys.argv[1], *map(int, sys.argv[2:5])
    signal, encoding = sys.argv[5:7] or ("traces", "protobuf")
    if encoding == "grpc":
        bodies = list(_requests.bodies(signal, items, number))
        start = time.perf_counter()
        accepted = asyncio.run(run_grpc(address, bodies, connections, signal))
    else:
        work = requests(items, number, signal, encoding)
        start = time.perf_counter()
        accepted = asyncio.run(run(address, work, connections))
    print(accepted, f"{time.perf_counter() - start:.3f}")


if __name__ == "__main__":
    main()
