"""One operating-system process with its group: started clean, read line by line, frozen, thawed, measured, killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from faasight_emulator.warden import Warden

# CloudWatch cuts a line at 256 KB.
MAX_LINE = 256 * 1024
_CHUNK = 64 * 1024
_PIPE_CHUNKS = 16  # a pipe holds 64 KB, 1 MB at most


class Process:
    """A child in a process group of its own. To be made and used on the event loop's thread.

    `on_line` gets each line of stdout and stderr; `on_exit` gets the return code (negative: the signal) once, on the loop.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        warden: Warden,
        on_line: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._warden = warden
        self._on_line = on_line
        self._on_exit = on_exit
        self._partial = b""
        self._lock = threading.Lock()
        self._reaped = False
        self._output, write_end = os.pipe()
        os.set_blocking(self._output, False)
        try:
            # No preexec_fn: it would force a fork of this threaded process; without it Python uses vfork.
            self._child = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                process_group=0,
            )
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(write_end)
        warden.add(self._child.pid)
        self._loop.add_reader(self._output, self._read)
        self.ended = asyncio.Event()
        threading.Thread(target=self._wait, name=f"wait-{self._child.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._child.pid

    def freeze(self) -> None:
        """Stop the whole group where it stands."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the group go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the whole group now."""
        self._signal(signal.SIGKILL)

    def peak_memory(self) -> int:
        """Return the most bytes of memory the process (with its children) has had; 0 if it is gone or has no /proc."""
        return _peak_memory(self.pid)

    def drain(self) -> None:
        """Take what the pipe holds now, so that these lines stand before the report that follows them."""
        for _ in range(_PIPE_CHUNKS):
            if not self._read():
                return

    def _read(self) -> bool:
        """Take one chunk; one that prints without end must not hold the loop. Returns whether there was any."""
        if self._output < 0:
            return False
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        if data:
            self._take(data)
        else:
            self._close_output()
        return bool(data)

    def _take(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))
        if len(self._partial) > MAX_LINE:
            self._on_line(self._partial.decode("utf-8", "replace"))
            self._partial = b""

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1
        if self._partial:
            self._on_line(self._partial.decode("utf-8", "replace"))
            self._partial = b""

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._reaped:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, number)

    def _wait(self) -> None:
        # WNOWAIT: until it is reaped its id cannot be given to another, so that the group is safe to kill.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._child.wait()
            self._reaped = True
        self._warden.remove(self.pid)
        with contextlib.suppress(RuntimeError):  # the loop may be closed at the end of the program
            self._loop.call_soon_threadsafe(self._exited)

    def _exited(self) -> None:
        self.drain()
        self._close_output()
        self.ended.set()
        self._on_exit(self._child.returncode)


def _peak_memory(pid: int) -> int:
    peak = 0
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            peak = int(line.split()[1]) * 1024
            break
    return peak + sum(_peak_memory(int(child)) for child in children)
