"""SIGKILL at random instants under load: what was acknowledged is stored, and nothing twice."""

import http.client
import random
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

MakeTraces = Callable[..., bytes]
Eventually = Callable[[Callable[[], object]], None]

RUNNER = Path(__file__).parent / "runner.py"
KILLS = 4
PAUSE_S = 0.02  # of a sender after each request: a fast machine must not be done before it is killed
SENDERS = 8
REQUESTS_EACH = 200
SPANS = 3


class Service:
    """The collector's process, whichever one it is just now."""

    def __init__(self, dsn: str, journal: Path) -> None:
        self._command = [sys.executable, str(RUNNER), "run", dsn, str(journal)]
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ready "):
                self.address = line.split()[1]
                # Its log goes on: a full pipe would stop it.
                threading.Thread(target=self._process.stdout.read, daemon=True).start()
                return
        pytest.fail("the collector did not start")

    def pending_bytes(self) -> float:
        """Return what the journal still holds for the store."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        (line,) = (
            line for line in text.splitlines() if line.startswith('faasight_collector_journal_bytes{state="pending"}')
        )
        return float(line.split()[-1])

    def kill(self) -> None:
        """Kill it, as the kernel does when memory runs out."""
        if self._process is not None:
            self._process.kill()
            self._close()

    def stop(self) -> None:
        """Let it stop in order."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=30)
        self._close()

    def _close(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.wait(timeout=30)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


class Sender(threading.Thread):
    """A client that sends each request until it is acknowledged, as the exporters do."""

    def __init__(self, service: Service, bodies: list[bytes]) -> None:
        super().__init__(daemon=True)
        self._service = service
        self._bodies = bodies
        self.acknowledged = 0
        self.resent = 0

    def run(self) -> None:
        """Send everything."""
        deadline = time.monotonic() + 120
        connection: http.client.HTTPConnection | None = None
        for body in self._bodies:
            while time.monotonic() < deadline:
                connection = connection or http.client.HTTPConnection(self._service.address, timeout=10)
                try:
                    connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = None
                    self.resent += 1
                    time.sleep(0.05)  # the process is being started again
                    continue
                if answer.status == 200:
                    self.acknowledged += 1
                    time.sleep(PAUSE_S)
                    break
        if connection is not None:
            connection.close()


def dump(dsn: str, name: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(RUNNER), "dump", dsn, name], capture_output=True, text=True, check=True, timeout=120
    )
    return [line for line in done.stdout.split("\n") if len(line) == 16]


@pytest.fixture(params=["embedded", "server"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return a store of its own in each mode; the embedded engine dies with the collector."""
    if request.param == "embedded":
        yield f"chdb://{tmp_path / 'data'}"
    else:
        yield f"clickhouse://127.0.0.1:{request.getfixturevalue('clickhouse_port')}/killed"


@pytest.fixture
def service(dsn: str, tmp_path: Path) -> Iterator[Service]:
    """Return a collector that is not running; whatever runs at the end is killed."""
    made = Service(dsn, tmp_path / "journal")
    yield made
    made.kill()


def test_acknowledged_is_stored_once_whatever_is_killed(
    dsn: str, service: Service, make_traces: MakeTraces, eventually: Eventually
) -> None:
    name, chance = secrets.token_hex(8), random.Random(4711)
    ids = [secrets.token_bytes(8) for _ in range(SENDERS * REQUESTS_EACH * SPANS)]
    bodies = [make_traces(name=name, ids=ids[start : start + SPANS]) for start in range(0, len(ids), SPANS)]
    service.start()
    senders = [Sender(service, bodies[n::SENDERS]) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    share = len(bodies) // (KILLS + 1)
    for kill in range(KILLS):
        due = kill * share + chance.randrange(share // 4, share)
        eventually(lambda due=due: sum(sender.acknowledged for sender in senders) >= due)
        time.sleep(chance.random() * 0.05)  # any instant: in a write, in an insert, between them
        service.kill()
        service.start()
    for sender in senders:
        sender.join(120)
    assert sum(sender.acknowledged for sender in senders) == len(bodies)
    assert sum(sender.resent for sender in senders) > 0, "no request was cut off: the test shows nothing"
    # A stop leaves behind what a busy store does not take in time: that is kept, but not in the store yet.
    eventually(lambda: service.pending_bytes() == 0)
    service.stop()
    assert sorted(dump(dsn, name)) == sorted(span_id.hex() for span_id in ids)
