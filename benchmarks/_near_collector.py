"""A stand-in for a near collector, in a process of its own: it reads OTLP/HTTP and answers 200 with little CPU.

Run as a program it serves, keeps each body in memory where `--keep` is given, and writes them to the file of its last
argument when it gets SIGTERM: length (4 bytes, little endian) and body.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def near_collector(kept: Path | None = None, port: int = 0, *, polite: bool = False) -> Iterator[int]:
    """Run it and give its port; what it received is in the file `kept` after the block.

    `polite`: whoever measures on the same core goes first. A collector's own work is on another machine elsewhere.
    """
    command = [
        *(["nice", "-n", "19"] if polite else []),
        sys.executable,
        __file__,
        str(port),
        *([str(kept)] if kept else []),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def refusing() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    yield port


@contextmanager
def unreachable() -> Iterator[int]:
    """Give a port that lets attempts to connect wait for ever: its queue is full, as if packets were dropped."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def bodies(kept: Path) -> Iterator[bytes]:
    """Yield what a collector has kept, request by request."""
    data = kept.read_bytes()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _serve(port: int, kept: Path | None) -> None:
    received_bodies: list[bytes] = []
    ending = threading.Lock()

    def one(connection: socket.socket) -> None:
        with suppress(ConnectionError):  # functions are killed
            answer(connection)

    def answer(connection: socket.socket) -> None:
        data = b""
        while received := connection.recv(1 << 18):
            data += received
            while (end := data.find(b"\r\n\r\n")) >= 0:
                head = data[:end].lower()
                size = end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                if len(data) < size:
                    break
                with ending:  # or what is answered after the end would be kept by nobody
                    if kept is not None:
                        received_bodies.append(data[end + 4 : size])
                    with suppress(ConnectionError):  # who was killed hears no answer; what it sent counts
                        connection.sendall(ANSWER)
                data = data[size:]

    def end(*_: object) -> None:
        ending.acquire()
        if kept is not None:
            with kept.open("ab") as file:
                file.writelines(len(body).to_bytes(4, "little") + body for body in received_bodies)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    listening = socket.create_server(("127.0.0.1", port))
    print(listening.getsockname()[1], flush=True)
    while True:
        connection, _ = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=one, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
