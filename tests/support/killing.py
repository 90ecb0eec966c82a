"""Collectors that are killed while clients send: what the kill tests and `kill_rounds.py` share."""

import contextlib
import http.client
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import psutil
from faasight_store import Store
from otlp import span, traces

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "tests" / "collector" / "runner.py"
HTTP_FIXTURE = ROOT / "tests" / "support" / "clickhouse_http.py"
_START_S = 120.0
SPAN_IDS = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String}"


class Process:
    """A process that says on its stdout when it is ready, and that is killed and started again."""

    def __init__(self, command: list[str], ready: str, log: Path, environ: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._ready = re.compile(ready)
        self._environ = dict(os.environ) | dict(environ or {})
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.said = ""  # what the last start said when it was ready: the first group of `ready`

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it is ready."""
        with self._log.open("ab") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._environ,
                cwd=self._log.parent,
                start_new_session=True,
            )
        out = self._process.stdout
        assert out is not None
        for line in out:
            found = self._ready.search(line.decode())
            if found:
                self.said = found.group(1) if found.groups() else ""
                threading.Thread(target=_drain, args=(out, self._log), daemon=True).start()  # a full pipe would stop it
                return
        raise AssertionError(f"{self._command} did not start: {self._log.read_text()[-3000:]}")

    def kill(self) -> None:
        """Kill it, as the kernel does when memory runs out, and all that it started."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.pid).children(recursive=True)
            self._process.kill()
            for process in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(below, timeout=30)
        self._end()

    def kill_one_below(self, chance: random.Random) -> None:
        """Kill one of the processes that it started."""
        below = psutil.Process(self.pid).children()
        if below:
            with contextlib.suppress(psutil.NoSuchProcess):
                chance.choice(below).kill()

    def stop(self, how: int = 0) -> int:
        """Let it stop in order, by a signal or by the end of its input; return its exit status."""
        assert self._process is not None
        assert self._process.stdin is not None
        if how:
            self._process.send_signal(how)
        else:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        status = self._process.wait(timeout=60)
        self._end()
        return status

    def last_lines(self) -> str:
        """Return the end of what it wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-60:])

    def _end(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.wait(timeout=60)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()


def _drain(out: IO[bytes], log: Path) -> None:
    with contextlib.suppress(OSError, ValueError), log.open("ab", buffering=0) as into:
        for line in out:
            into.write(line)


def collector(dsn: str, folder: Path, port: int) -> Process:
    """Return one collector with small segments; `said` is its HTTP address."""
    command = [sys.executable, str(RUNNER), "run", dsn, str(folder / "journal"), str(port)]
    return Process(command, r"^ready (\S+)", folder / "collector.log")


def workers(dsn: str, folder: Path, count: int, port: int) -> Process:
    """Return a supervisor with its workers."""
    environ = {
        "FAASIGHT_STORE": dsn,
        "FAASIGHT_JOURNAL": str(folder / "journal"),
        "FAASIGHT_COLLECTOR_HTTP": f"127.0.0.1:{port}",
        "FAASIGHT_COLLECTOR_GRPC": "off",
        "FAASIGHT_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "faasight_cli", "collector", "--workers", str(count)]
    return Process(command, r"collector +http://(\S+)", folder / "workers.log", environ)


def clickhouse(folder: Path, port: int) -> Process:
    """Return the HTTP interface before an engine of its own, on a port that it keeps when it is started again."""
    command = [sys.executable, str(HTTP_FIXTURE), "--path", str(folder / "clickhouse"), "--port", str(port)]
    return Process(command, r"^(\d+)", folder / "clickhouse.log")


class Sender(threading.Thread):
    """A client that sends each request until it is acknowledged, as exporters do, until it is told to stop."""

    def __init__(self, address: str, name: str, *, spans: int = 3, pause_s: float = 0.01, limit: int = 100_000) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._name = name
        self._spans = spans
        self._pause_s = pause_s
        self._limit = limit
        self._stop_asked = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self.acknowledged: list[str] = []  # span ids
        self.requests = 0
        self.resent = 0

    def run(self) -> None:
        """Send; what was begun is sent until it is acknowledged."""
        for _ in range(self._limit):
            if self._stop_asked.wait(self._pause_s):
                break
            made = [span(self._name, time.time_ns(), 1, span_id=secrets.token_bytes(8)) for _ in range(self._spans)]
            body = traces(made).SerializeToString()
            deadline = time.monotonic() + 180
            while not self._send(body):
                if time.monotonic() > deadline:
                    return
            self.requests += 1
            self.acknowledged += [one.span_id.hex() for one in made]
        if self._connection is not None:
            self._connection.close()

    def stop(self) -> None:
        """Finish the request that is on its way, and send no more."""
        self._stop_asked.set()
        self.join(180)
        assert not self.is_alive()

    def _send(self, body: bytes) -> bool:
        self._connection = self._connection or http.client.HTTPConnection(self._address, timeout=10)
        try:
            self._connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            self.resent += 1
            time.sleep(0.05)  # the process is being started again
            return False
        if answer.status != 200:
            time.sleep(0.05)
        return answer.status == 200


def unshipped(folder: Path) -> list[str]:
    """Return the segments that all journals under a folder still hold for the store."""
    return [path.name for path in folder.glob("**/*-*.*") if path.suffix in {".open", ".sealed", ".split"}]


def pending_bytes(address: str) -> float:
    """Return what a collector's journal still holds for the store, as it says itself."""
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    name = 'faasight_collector_journal_bytes{state="pending"'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def stored(dsn: str, name: str) -> list[str]:
    """Return the span ids that the store has under a span name; an embedded one is asked in a process of its own."""
    if not dsn.startswith("chdb"):
        with Store.open(dsn) as store:
            return [row[0] for row in store.query(SPAN_IDS, {"name": name}, timeout_s=60)]
    command = [sys.executable, str(RUNNER), "dump", dsn, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return [line for line in done.stdout.split("\n") if len(line) == 16]


def compare(acknowledged: list[str], found: list[str]) -> dict[str, int]:
    """Return how many were acknowledged, stored, lost, doubled, and stored without an acknowledgement."""
    counts = Counter(found)
    return {
        "acknowledged": len(acknowledged),
        "stored": len(counts),
        "lost": len(set(acknowledged) - set(counts)),
        "doubled": sum(count > 1 for count in counts.values()),
        "unacknowledged": len(set(counts) - set(acknowledged)),
    }


SIGTERM = signal.SIGTERM
