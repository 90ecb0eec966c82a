"""What runs beside the runtime in a sandbox: the processes of external extensions, from init to shutdown."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from faasight_emulator.extensions import Extensions, programs
from faasight_emulator.http_server import Request, Response
from faasight_emulator.model import Function, Place
from faasight_emulator.platform import Reporter
from faasight_emulator.process import Process
from faasight_emulator.runtime_api import Ready, Said
from faasight_emulator.telemetry import Telemetry
from faasight_emulator.trouble import ExtensionFailed, Happened
from faasight_emulator.warden import Warden

SHUTDOWN = 2.0  # seconds that extensions have for their end, as on AWS
_FLUSH = 0.5  # of them for the last telemetry


class Companions:
    """The extensions of one process of the runtime; a sandbox that is reset gets new ones.

    `happened` takes what the runtime says, but for a Ready that comes before all extensions are: an init or an
    invocation has ended only when the runtime and every extension wait for what comes next.
    """

    def __init__(
        self,
        function: Function,
        place: Place,
        telemetry: Telemetry,
        opt: Mapping[str, Path],
        happened: Callable[[Happened], None],
    ) -> None:
        self._programs = programs(function.layers, opt)
        self._telemetry = telemetry
        self._happened = happened
        self._api = Extensions(function, place, telemetry, self._programs, self._heard)
        self._processes: list[Process] = []
        self._held = False
        self._ending = False

    def start(self, environment: Mapping[str, str], folder: Path, warden: Warden, reporter: Reporter) -> None:
        """Start the programs. Raises OSError if one cannot be run."""
        for name, program in self._programs.items():
            self._processes.append(
                Process(
                    [str(program)],
                    environment,
                    folder,
                    warden,
                    on_record=lambda text, written: reporter.line(text, written, "extension"),
                    on_exit=lambda code, name=name: self._exited(name, code),  # type: ignore[misc]
                )
            )

    async def handle(self, request: Request) -> Response | None:
        """Answer what is of the Extensions and Telemetry APIs, None to all else."""
        return await self._api.handle(request)

    def said(self, event: Said) -> None:
        """Take what the runtime says."""
        if isinstance(event, Ready) and not self._api.ready:
            self._held = True
        else:
            self._happened(event)

    @property
    def outside(self) -> bool:
        """Whether there is an extension with a process of its own."""
        return bool(self._processes)

    def missing(self) -> str:
        """Return a sentence about the extensions that have not registered; empty if all have."""
        names = ", ".join(self._api.missing)
        return f"not registered by the name of its file: extension {names}" if names else ""

    def invoke(self, request_id: str, deadline_ms: int, arn: str, trace_header: str) -> None:
        """Tell of an invocation."""
        self.thaw()
        self._api.invoke(request_id, deadline_ms, arn, trace_header)

    def peak_memory(self) -> int:
        """Return the most bytes that they have had."""
        return sum(process.peak_memory() for process in self._processes)

    def freeze(self) -> None:
        """Stop them where they stand, and take what they have printed."""
        for process in self._processes:
            process.freeze()
            process.drain()

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._processes:
            process.thaw()

    async def end(self, reason: str) -> None:
        """Have them end: with notice, then without."""
        self._ending = True
        if self._processes:
            self.thaw()
            await self._telemetry.flush(_FLUSH)
            self._api.shut_down(reason, int((time.time() + SHUTDOWN) * 1000))
            ends = [asyncio.ensure_future(process.ended.wait()) for process in self._processes]
            await asyncio.wait(ends, timeout=SHUTDOWN)
            for end in ends:
                end.cancel()
        for process in self._processes:
            process.kill()
        await asyncio.gather(*(process.ended.wait() for process in self._processes))
        self._processes.clear()
        await self._telemetry.stop()

    def _heard(self, error_type: str) -> None:
        """Take from the API that all are ready, or that one has failed."""
        if error_type:
            self._happened(ExtensionFailed("", error_type, f"an extension reported {error_type}"))
        elif self._held:
            self._held = False
            self._happened(Ready())

    def _exited(self, name: str, code: int) -> None:
        if not self._ending:
            how = f"exit status {code}" if code >= 0 else f"signal {-code}"
            self._happened(ExtensionFailed(name, "Extension.Crash", f"the extension {name} ended: {how}"))
