"""One operating-system process with its group: started clean, frozen, thawed, measured, killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faasight_emulator.output import Frames, Lines, OnRecord, Pipe
from faasight_emulator.warden import Warden

SHORTEST_WAIT = 0.05  # seconds between looks at a process that is held up


@dataclass(frozen=True, slots=True)
class Scheduled:
    """For how many seconds a process has run and has waited for a CPU, and its state as ps(1) names it."""

    ran: float
    waited: float
    state: str


NEVER = Scheduled(0.0, 0.0, "X")


class Process:
    """A child in a process group of its own. To be made and used on the event loop's thread.

    `on_record` gets what it prints and logs; `on_exit` gets the return code (negative: the signal) once, on the loop.
    Raises OSError if the command cannot be run.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        warden: Warden,
        on_record: OnRecord,
        on_exit: Callable[[int], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._warden = warden
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._reaped = False
        self._output = Pipe(Lines(on_record))
        self._log = Pipe(Frames(on_record))
        try:
            # No preexec_fn: it would force a fork of this threaded process; without it Python uses vfork.
            self._child = subprocess.Popen(  # noqa: S603 -- running the user's code is what this is for
                command,
                env={**environment, "_LAMBDA_TELEMETRY_LOG_FD": str(self._log.write_end)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=self._output.write_end,
                stderr=self._output.write_end,
                pass_fds=[self._log.write_end],
                process_group=0,
            )
        except OSError:
            self._close_pipes()
            raise
        self._output.close_write_end()
        self._log.close_write_end()
        warden.add(self._child.pid)
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

    async def terminate(self, patience: float) -> None:
        """Ask the process to end, frozen or not, and wait for it at most `patience` seconds."""
        with self._lock:
            if not self._reaped:
                self._child.send_signal(signal.SIGTERM)
        self.thaw()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), patience)

    def kill(self) -> None:
        """End the whole group now."""
        self._signal(signal.SIGKILL)

    def peak_memory(self) -> int:
        """Return the most bytes of memory the process (with its children) has had; 0 if it is gone or has no /proc."""
        return _peak_memory(self.pid)

    def held_up(self, elapsed: float, limit: float, before: "Scheduled" = NEVER) -> float:
        """Return how many seconds longer than `elapsed` a limit holds, of which the wait for a CPU or the disk is none.

        `before` is what `scheduled` told when the limit began. 0 where the time is over, or where /proc does not say.
        """
        now = self.scheduled()
        ran, waited = now.ran - before.ran, now.waited - before.waited
        if elapsed - waited < limit:
            return max(limit + waited - elapsed, SHORTEST_WAIT)
        # A wait is counted only when it is over; the one that goes on shows in the state alone.
        return SHORTEST_WAIT if now.state in "RD" and ran < limit else 0.0

    def scheduled(self) -> "Scheduled":
        """Return what the scheduler says of its main thread; `NEVER` if it is gone, or where /proc does not say."""
        try:
            folder = Path(f"/proc/{self.pid}")
            ran, waited, _ = (folder / "schedstat").read_text(encoding="ascii").split()
            stat = (folder / "stat").read_text(encoding="ascii", errors="replace")
            return Scheduled(int(ran) / 1e9, int(waited) / 1e9, stat.rpartition(")")[2].split()[0])
        except (OSError, ValueError, IndexError):
            return NEVER

    def drain(self) -> None:
        """Take what has been printed and logged until now."""
        self._output.drain()
        self._log.drain()

    def _close_pipes(self) -> None:
        self._output.close()
        self._log.close()

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
        self._close_pipes()
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
