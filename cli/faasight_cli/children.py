"""The demo's own processes: started with a log file each, watched, and stopped together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from faasight_cli.errors import ChildError

_LAST_LINES = 12


class Child:
    """One process; it ends when this one does, however that comes."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are the demo's own
                [sys.executable, "-m", "faasight_cli.child", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,  # Ctrl+C reaches this process alone, which then stops them in order
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._process.poll()

    def wait_until(self, ready: Callable[[], bool], patience_s: float, give_up: Callable[[], bool]) -> None:
        """Return when it is ready, or when `give_up` says so. Raises ChildError if it ends, or takes too long."""
        end = time.monotonic() + patience_s
        while not ready() and not give_up():
            if self.ended() is not None:
                raise ChildError(f"{self.name} ended with status {self.ended()}:\n{self.last_lines()}")
            if time.monotonic() > end:
                raise ChildError(f"{self.name} is not ready after {patience_s:.0f} s:\n{self.last_lines()}")
            time.sleep(0.05)

    def last_lines(self) -> str:
        """Return the last of what it wrote, and where all of it is."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([*(f"  | {line}" for line in lines), f"  all of it: {self.log}"])

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.ended() is None:
            self._process.terminate()

    def end(self, patience_s: float) -> None:
        """Wait so long for the end, then kill the whole process group."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the process and those that it started."""
        if self.ended() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()


def stop(children: Sequence[Child], within_s: float) -> None:
    """Ask all to stop, and kill what is still there when the time is over."""
    end = time.monotonic() + within_s
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.end(max(0.0, end - time.monotonic()))
