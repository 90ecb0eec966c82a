"""What an ingest benchmark measures: a running collector, its processes and what it has stored."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

DEADLINE_S = 240


@dataclass(frozen=True)
class Subject:
    """Where a collector listens, what it is made of, and how many rows it has stored."""

    address: str
    grpc_address: str
    processes: tuple[psutil.Process, ...]
    stored: Callable[[], int]
    floor_s: Callable[[], float] | None = None  # ends it; CPU time of the engine alone for the same rows
    grow: Callable[[int], int] | None = None  # until it has stored so many rows

    def cpu_s(self) -> float:
        """Return the CPU time of all its processes."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes))

    def peak_mib(self) -> float:
        """Return the sum of its processes' largest resident sizes."""
        return sum(peak_kib(process.pid) for process in self.processes) / 1024


def peak_kib(pid: int) -> int:
    """Return the largest resident size that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; raises TimeoutError with `what`."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {DEADLINE_S} s")
        time.sleep(0.2)


@contextmanager
def process(command: list[str], *, heard: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the end of the block."""
    output = subprocess.PIPE if heard else subprocess.DEVNULL  # a pipe that nobody reads would stop it
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str], prefix: str) -> str:
    """Return the rest of the next line that begins so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(prefix):
            return line.removeprefix(prefix).strip()
    raise RuntimeError(f"{process.args} ended too early")
