"""Runs a command that does not outlive its parent: `python -m faasight_cli.child PARENT_PID COMMAND...`.

If the parent is killed with SIGKILL it cannot stop its children. On Linux the kernel then sends SIGTERM to the command;
elsewhere this process stays beside the command and watches.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; it survives exec


def main(arguments: list[str]) -> int:
    """Become the command, or watch over it; the result is its exit status."""
    parent, command = int(arguments[0]), arguments[1:]
    return _become(parent, command) if sys.platform.startswith("linux") else _watch(parent, command)


def _become(parent: int, command: list[str]) -> int:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:
        os.execvp(command[0], command)  # noqa: S606 - the command is our own, and no shell is wanted
    return 1  # the parent died before the kernel knew of our wish


def _watch(parent: int, command: list[str]) -> int:
    process = subprocess.Popen(command)  # noqa: S603 - the command is our own
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.poll() is None:
        if os.getppid() != parent:
            process.terminate()
        time.sleep(0.2)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
