"""The command as a process of its own, which is how it is used."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from ports import free_ports

_PATIENCE_S = 240
ANY = "127.0.0.1:0"


class Command:
    """`faasight ARGUMENTS` in a folder; what it says is read as it comes."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FAASIGHT_")}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faasight_cli", *arguments],
                cwd=folder,
                env=clean | {name: _chosen(value) for name, value in (env or {}).items()},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def said(self) -> str:
        """Return all that it has said so far, on both ways."""
        return self.out.read_text() + self.err.read_text()

    def wait_for(self, text: str, seconds: float = _PATIENCE_S) -> str:
        """Wait until it has said this, and return all that it said."""
        end = time.monotonic() + seconds
        while text not in (said := self.said()):
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{said}"
            assert time.monotonic() < end, f"it did not say {text!r}:\n{said}"
            time.sleep(0.05)
        return said

    def ended(self, seconds: float = _PATIENCE_S) -> int:
        """Wait for its end and return the exit status."""
        return self.process.wait(seconds)

    def url(self, name: str) -> str:
        """Return an address from its banner."""
        line = next(line for line in self.said().splitlines() if line.strip().startswith(f"{name} "))
        return line.split()[1].rstrip(",")


def _chosen(value: str) -> str:
    """Return a port in place of any: a command that finds one itself binds it seconds later, and others may have it."""
    return f"127.0.0.1:{free_ports(1)[0]}" if value == ANY else value


@pytest.fixture
def faasight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Command]]:
    """Give a starter of commands; those that still run in the end are killed."""
    started: list[Command] = []

    def start(*arguments: str, folder: Path | None = None, env: Mapping[str, str] | None = None) -> Command:
        started.append(Command(folder or tmp_path_factory.mktemp("faasight"), *arguments, env=env))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


@pytest.fixture
def any_ports() -> dict[str, str]:
    """Give settings that make every part take a free port, which each start chooses anew."""
    return dict.fromkeys(("FAASIGHT_DASHBOARDS", "FAASIGHT_COLLECTOR_HTTP", "FAASIGHT_COLLECTOR_GRPC"), ANY)
