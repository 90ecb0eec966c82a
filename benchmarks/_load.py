"""The load of the ingest benchmark: a process of its own that posts prepared OTLP requests over many connections.

_load.py ADDRESS SPANS_A_REQUEST REQUESTS CONNECTIONS    prints how many requests were answered 200
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

FUNCTIONS = 20
_TRACE, _SPAN = b"T" * 16, b"S" * 8  # stand for the ids in the prepared bytes


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _template(function: int, spans: int) -> bytes:
    """Return a request of one function; its spans look like calls that a function makes."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(
        [
            _text("service.name", f"fn-{function}"),
            _text("faas.name", f"fn-{function}"),
            _text("cloud.provider", "aws"),
            _text("cloud.region", "eu-west-1"),
            _text("deployment.environment.name", "default"),
        ]
    )
    scope = resource.scope_spans.add()
    scope.scope.name = "faasight"
    now = time.time_ns()
    for n in range(spans):
        span = scope.spans.add(
            trace_id=_TRACE, span_id=_SPAN, parent_span_id=b"P" * 8, name=f"operation {n % 17}", kind=3
        )
        span.start_time_unix_nano = now + n * 1000
        span.end_time_unix_nano = now + n * 1000 + 5_000_000
        span.attributes.extend([_text(f"key.{key}", secrets.token_hex(6)) for key in range(8)])
        span.attributes.append(KeyValue(key="zero", value=AnyValue(int_value=0)))
        span.attributes.append(KeyValue(key="no", value=AnyValue(bool_value=False)))
    return request.SerializeToString()


def requests(spans: int, number: int) -> list[bytes]:
    """Return whole HTTP requests, each with ids of its own."""
    templates = [_template(function, spans) for function in range(FUNCTIONS)]
    found = []
    for n in range(number):
        pieces = templates[n % FUNCTIONS].split(_TRACE)
        body = b"".join(_filled(pieces))
        head = (
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: %d\r\n\r\n"
        )
        found.append(head % len(body) + body)
    return found


def _filled(pieces: list[bytes]) -> Iterator[bytes]:
    yield pieces[0]
    for piece in pieces[1:]:
        yield secrets.token_bytes(16)
        yield piece.replace(_SPAN, secrets.token_bytes(8), 1)


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


def main() -> None:
    """Prepare, send, and print the number of accepted requests and the seconds it took."""
    address, spans, number, connections = sys.argv[1], *map(int, sys.argv[2:5])
    work = requests(spans, number)
    start = time.perf_counter()
    accepted = asyncio.run(run(address, work, connections))
    print(accepted, f"{time.perf_counter() - start:.3f}")


if __name__ == "__main__":
    main()
