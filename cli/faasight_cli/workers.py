"""`faasight collector --workers N`: a supervisor over collectors that share the ports, each with its own journal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import structlog

from faasight_cli import logs, ports, services, settings, up
from faasight_cli.console import Console, banner
from faasight_cli.errors import CommandError
from faasight_cli.settings import Settings
from faasight_cli.signals import StopSignal

log = structlog.get_logger("faasight")

READY = "ready"  # what a worker writes to its stdout, and nothing else
_STOP_S = 8.0  # the workers' own patience and some more
_START_S = 60.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 30.0
_CALM_S = 60.0  # after so long without a crash, the next one is the first again
_LOOK_S = 0.1


class Worker:
    """One place among the workers: its process, and when to start the next one there."""

    def __init__(self, number: int, environ: Mapping[str, str], state: Path) -> None:
        self.number = number
        self._state = state  # the file in which it tells the others how it is
        self.restarts = 0
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._wait_s = _FIRST_WAIT_S

    def start(self) -> None:
        """Start a process; it gets SIGTERM if this one dies."""
        self._started = time.monotonic()
        command = [sys.executable, "-m", "faasight_cli.worker", str(self.number)]
        self._process = subprocess.Popen(  # noqa: S603 - the command is our own
            [sys.executable, "-m", "faasight_cli.child", str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=dict(self._environ),
            start_new_session=True,  # Ctrl+C reaches the supervisor alone, which then stops them in order
        )

    def is_ready(self) -> bool:
        """Tell whether it has said so, waiting for its first line or its end."""
        out: IO[bytes] | None = self._process.stdout if self._process else None
        return out is not None and out.readline().strip() == READY.encode()

    def watch(self) -> None:
        """Start it again, some time after it ended."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._not_before:
                self.restarts += 1
                self.start()
            return
        status = self._process.poll()
        if status is None:
            return
        self._forget()
        self._state.unlink(missing_ok=True)
        if now - self._started > _CALM_S:
            self._wait_s = _FIRST_WAIT_S
        self._not_before = now + self._wait_s
        log.error("a worker ended; starting it again", worker=self.number, status=status, wait_s=self._wait_s)
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)

    def terminate(self) -> None:
        """Ask it to stop in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, deadline: float) -> bool:
        """Wait for its end until `deadline` (monotonic), then kill it; return whether it stopped in order."""
        if self._process is None:
            return True
        try:
            status = self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._forget()
        return status == 0

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def supervise(own: Settings, overrides: Mapping[str, str]) -> int:
    """Run the workers until asked to stop; return the exit status."""
    if services.data_dir(own) is not None:
        raise CommandError(
            f"{own.workers} workers need a ClickHouse server: the embedded store is open to one process alone. "
            "Set FAASIGHT_STORE=clickhouse://user:password@host:8123/database, or FAASIGHT_WORKERS=1."
        )
    logs.configure(own.log_level, own.log_format)
    console, stop = Console(), StopSignal()
    own = up.with_ports(own)
    ports.check(up.wanted(own, ("collector",)))
    services.check_access(own)
    services.remember_journals(own)
    environ, states = environment(own, overrides, os.environ), services.journal_dir(own) / "state"
    workers = [Worker(number, environ, states / f"{number}.json") for number in range(1, own.workers + 1)]
    try:
        _start(workers)
        rows = [*up.addresses(own, ("collector",)), ("workers", str(own.workers))]
        console.say(banner("FaaSight is running. Ctrl+C stops it.", rows))
        _watch(workers, stop.wait)
        console.say("stopping: what has been received is being stored ...")
    finally:
        stopped = _stop(workers)
    console.say("stopped")
    return 0 if stopped else 1


def _start(workers: list[Worker]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        if not worker.is_ready():
            raise CommandError(f"Worker {worker.number} did not start; what it wrote above says why.")


def _watch(workers: list[Worker], asked: Callable[[float], bool]) -> None:
    while not asked(_LOOK_S):
        for worker in workers:
            worker.watch()


def _stop(workers: list[Worker]) -> bool:
    deadline = time.monotonic() + _STOP_S
    for worker in workers:
        worker.terminate()
    ended = [worker.end(deadline) for worker in workers]
    return all(ended)


def environment(own: Settings, overrides: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: ours, with what the command line said, and the ports that were settled on."""
    said = {row.env: overrides[row.name] for row in settings.TABLE if row.name in overrides}
    listening = {
        "FAASIGHT_COLLECTOR_HTTP": str(own.collector_http),
        "FAASIGHT_COLLECTOR_GRPC": str(own.collector_grpc or "off"),
    }
    return {**environ, **said, **listening}
