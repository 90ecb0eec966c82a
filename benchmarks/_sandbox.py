"""A sandbox as AWS Lambda runs it: the real runtime client on a Runtime API of ours, frozen after each answer."""

import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

PAUSE_S = 0.002  # frozen between two invocations: what the processor had at hand of the function is gone by then
_numbers = itertools.count(1)  # of all invocations of this program
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f"
EVENT = {
    "version": "2.0",
    "routeKey": "POST /orders/{id}",
    "rawPath": "/orders/7",
    "headers": {
        "accept": "*/*",
        "host": "shop.execute-api.eu-central-1.amazonaws.com",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "shop",
        "domainName": "shop.execute-api.eu-central-1.amazonaws.com",
        "http": {"method": "POST", "path": "/orders/7", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": "POST /orders/{id}",
        "stage": "$default",
        "timeEpoch": 1767323045678,
    },
    "body": '{"items": 3}',
    "isBase64Encoded": False,
}


class Took(NamedTuple):
    """How long an invocation took from its event on, ms."""

    answer: float  # until the answer's first byte
    whole: float  # until the request for the next event: what is billed
    cpu: float = 0.0  # of all its threads, thawing and freezing included


@dataclass(frozen=True)
class Command:
    """How a function is started."""

    arguments: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class SandboxError(RuntimeError):
    """The function's process did not do what a sound one does."""


class RuntimeApi:
    """The Lambda Runtime API of one sandbox, without a thread of its own: who measures, reads and writes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._readable = selectors.DefaultSelector()  # not select(): who measures may have over 1,024 files open
        self._readable.register(self._listening, selectors.EVENT_READ)
        self._connections: list[socket.socket] = []
        self._asking: socket.socket | None = None
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def request(self, timeout: float) -> tuple[str, bytes, float]:
        """Return the next request's path and body, and when its first bytes came (time.perf_counter).

        Raises TimeoutError.
        """
        deadline = time.perf_counter() + timeout
        while True:
            ready = self._readable.select(max(deadline - time.perf_counter(), 0))
            if not ready:
                raise TimeoutError(f"the runtime asked for nothing in {timeout:g} s")
            for key, _ in ready:
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is self._listening:
                    accepted, _ = self._listening.accept()
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._connections.append(accepted)
                    self._readable.register(accepted, selectors.EVENT_READ)
                    continue
                at = time.perf_counter()
                read = _read_request(connection)
                if read is None:
                    self._readable.unregister(connection)
                    connection.close()
                    self._connections.remove(connection)
                    continue
                self._asking = connection
                return *read, at

    def reply(self, status: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Answer the request read last."""
        assert self._asking is not None
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._asking.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def close(self) -> None:
        """Stop."""
        self._readable.close()
        for connection in (self._listening, *self._connections):
            connection.close()


def _read_request(connection: socket.socket) -> tuple[str, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        with suppress(ConnectionError):
            received = connection.recv(65_536)
            if received:
                data += received
                continue
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head.split(b" ", 2)[1].decode(), body


class Sandbox:
    """A running function."""

    def __init__(
        self, command: Command, prefix: list[str] | None = None, patience: float = 60.0, output: IO[bytes] | None = None
    ) -> None:
        """Start it and wait until it asks for its first event.

        `prefix` is put before its command line; `output` gets what it prints.
        """
        self.api = RuntimeApi()
        self.request_id = ""
        self._frozen = False
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "FAASIGHT_", "PYTHON", "DD_"))}
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [*(prefix or []), *command.arguments],
            cwd=command.folder,
            env={
                **inherited,
                "AWS_LAMBDA_RUNTIME_API": self.api.address,
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
                "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
                "AWS_REGION": "eu-central-1",
                "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
                "LAMBDA_TASK_ROOT": str(command.folder),
                **command.environment,
            },
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._expect("/invocation/next", patience)
        self.init_wall_ms = (time.perf_counter() - begun) * 1e3
        self.init_cpu_ms = self.cpu_ms()

    def _expect(self, path: str, patience: float) -> float:
        try:
            asked, body, at = self.api.request(patience)
        except TimeoutError as late:
            raise SandboxError(f"{late}; exit status {self.process.poll()}") from None
        if not asked.endswith(path):
            raise SandboxError(f"{asked} instead of {path}: {body[:500].decode(errors='replace')}")
        return at

    def cpu_ms(self) -> float:
        """Return the time that its threads were on a CPU, those that have ended too: Linux counts it in ns."""
        return time.clock_gettime(~self.process.pid << 3 | 2) * 1e3  # MAKE_PROCESS_CPUCLOCK of the kernel

    def memory_kib(self) -> tuple[int, int]:
        """Return resident and proportional size (RSS, PSS)."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return tuple(int(rollup.partition(f"\n{name}:")[2].split()[0]) for name in ("Rss", "Pss"))  # type: ignore[return-value]  # two names, two numbers

    def call(self, event: object = EVENT, limit_ms: int = 30_000, patience: float = 60.0) -> Took:
        """Thaw it, invoke it once, freeze it."""
        before = self.cpu_ms()
        self.thaw()
        begun = time.perf_counter()
        self.hand_out(event, limit_ms)
        answered = self._expect("/response", patience)
        self.api.reply("202 Accepted", b'{"status":"OK"}')
        asked = self._expect("/invocation/next", patience)
        self.freeze()
        cpu = self.cpu_ms() - before
        time.sleep(PAUSE_S)
        return Took((answered - begun) * 1e3, (asked - begun) * 1e3, cpu)

    def hand_out(self, event: object, limit_ms: int) -> None:
        """Answer the runtime's request for an event; `request_id` is then its id, as no other has."""
        number = next(_numbers)
        self.request_id = f"8476a536-e9f4-11e8-9739-{number:012x}"
        self.api.reply(
            "200 OK",
            json.dumps(event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": self.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + limit_ms),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
                "Lambda-Runtime-Trace-Id": f"Root=1-5759e988-{number:024x};Parent=53995c3f42cd8ad8;Sampled=1",
            },
        )

    def freeze(self) -> None:
        """Stop all its threads, as Lambda does when the runtime asks for the next event."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self._frozen = True

    def thaw(self) -> None:
        """Let it run again."""
        if self._frozen:
            self.process.send_signal(signal.SIGCONT)
            self._frozen = False

    def close(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        self.api.close()


@contextmanager
def sandbox(command: Command, prefix: list[str] | None = None, patience: float = 60.0) -> Iterator[Sandbox]:
    """Run a function until the end of the block."""
    running = Sandbox(command, prefix, patience)
    try:
        yield running
    finally:
        running.close()
