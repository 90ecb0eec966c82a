"""Kills the emulator's processes should it die: run as a program of its own, told by its standard input who is alive.

PR_SET_PDEATHSIG would kill the direct child alone, fires when the *thread* that started it ends, and can only be set
between a fork and an exec, which a threaded process had better not do. The warden reaches whole groups, frozen or not.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path


class Warden:
    """The emulator's side: starts the program and tells it which process groups live.

    `folder`, if given, is removed at the end too.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        # -I -S: nothing of the user's environment or packages; a group of its own, so that Ctrl+C does not end it.
        self._process = subprocess.Popen(  # noqa: S603 -- this file, by this Python
            [sys.executable, "-I", "-S", __file__, *([str(folder)] if folder else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return self._process.pid

    def add(self, group: int) -> None:
        """Have this process group killed if the emulator dies."""
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """Forget a group that has ended."""
        self._tell(f"-{group}\n")

    def stop(self) -> None:
        """End the program; what it still knows of is killed."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(1)

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            # Without a warden the emulator still works; it only would not be cleaned up after a SIGKILL.
            with self._lock, contextlib.suppress(OSError):
                stdin.write(line.encode())
                stdin.flush()


def main() -> None:
    """Read `+group` and `-group` lines; at the end of the input kill the groups that are left, remove the folder."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in sys.argv[1:]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
