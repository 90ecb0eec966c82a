"""One sandbox: a runtime process and its Runtime API, from init through invocations and freezing to its end."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from faasight_emulator.companions import SHUTDOWN, Companions
from faasight_emulator.environment import log_stream, sandbox_command, sandbox_environment
from faasight_emulator.extensions import programs
from faasight_emulator.invocation import Invocation, Result
from faasight_emulator.model import Function, Place
from faasight_emulator.platform import Reporter, Sink, Spent, identity_of
from faasight_emulator.process import NEVER, Process
from faasight_emulator.runtime_api import Failed, Ready, Responded, RuntimeApi, Task
from faasight_emulator.telemetry import Telemetry
from faasight_emulator.trouble import (
    Exited,
    Happened,
    OverLimit,
    TimedOut,
    Trouble,
    handler_trouble,
    launch_trouble,
    trouble_of,
)
from faasight_emulator.warden import Warden

MEMORY_CHECK = 0.05  # seconds between looks at the memory of a running sandbox
LAST_LOOK = 0.01  # seconds in which to read what a runtime said in time, when this process has been held up itself
# A caller gets its answer when the sandbox is free again, or so many seconds after the answer: on AWS the network hides
# that moment, and a caller that calls again at once finds the warm sandbox.
ANSWER_GRACE = 0.2
MAX_HOLD_UP = 30  # times its limit that an init or an invocation may take when the machine is too busy

Answer = asyncio.Future[Result]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sandboxes share.

    `extra` are variables for every function, `opt` what stands at /opt for them, `environment` the deployment's name;
    `init_limit` is in seconds.
    """

    place: Place
    sink: Sink
    warden: Warden
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    opt: Mapping[str, Path] = field(default_factory=dict)
    environment: str = "default"
    init_limit: float = 10.0


class Sandbox:
    """Runs one invocation at a time. Made by `start`, used by `run`, ended by `stop`; all on the event loop."""

    def __init__(self, function: Function, around: Surroundings, init_type: str = "on-demand") -> None:
        self.function = function
        self.instance = log_stream(function.version)
        self.alive = True
        self.fresh = init_type == "on-demand"  # whoever is the first to use it waits for its init
        self.up = False  # whether its init has once succeeded
        self._around = around
        self._init_type = init_type
        self._happened: asyncio.Queue[Happened] = asyncio.Queue()
        identity = identity_of(function, around.place, around.environment, self.instance)
        self._telemetry = Telemetry(around.sink)
        self._reporter = Reporter(identity, self._telemetry, init_type)
        self._temporary = Path(tempfile.mkdtemp(prefix="sandbox-", dir=around.folder))
        self._process: Process | None = None
        self._before = NEVER  # what the scheduler said of it when its limit began
        self._api: RuntimeApi | None = None
        self._companions: Companions | None = None
        self._busy = False
        self._init_ms: float | None = None  # until the first invocation has reported it
        self._init_trouble: Trouble | None = None
        self._peak = 0

    @property
    def provisioned(self) -> bool:
        """Whether it was started ahead, and so is not reaped."""
        return self._init_type == "provisioned-concurrency"

    @property
    def init_failed(self) -> bool:
        """Whether the init ended in an error."""
        return self._init_trouble is not None

    @property
    def reset(self) -> bool:
        """Whether its process was killed: its files are kept, and the next invocation runs the init on its own time."""
        return self._process is None

    async def start(self) -> None:
        """Run the init; how it went shows in the first invocation, as on AWS."""
        self._busy = True
        limit = self._around.init_limit
        self._init_trouble, self._init_ms = await self._init("init", limit, "", limit)
        self._busy = False

    async def run(self, invocation: Invocation, answer: Answer, gate: asyncio.Semaphore) -> Result:
        """Run one invocation; `answer` is set when the caller may have it, the result is returned when all is done.

        `gate` bounds how many processes start at once: an init within the invocation waits there before it all begins.
        Afterwards the sandbox is frozen, or no longer `alive`.
        """
        self._busy, self.fresh = True, False
        try:
            return await self._run(invocation, answer, gate)
        finally:
            self._busy = False

    async def stop(self) -> None:
        """End the process group and remove what the sandbox had."""
        self.alive = False
        await self._end("spindown")
        shutil.rmtree(self._temporary, ignore_errors=True)

    # -- init

    async def _init(self, phase: str, limit: float, request_id: str, told: float) -> tuple[Trouble | None, float]:
        """Start the process and wait for its first `next`; returns what went wrong and the milliseconds it took.

        Time for which it only waited for a CPU does not count against the limit: on AWS it has one of its own, and a
        machine that is too busy would otherwise kill every init, and be busier for it.
        """
        began = time.monotonic()
        if programs(self.function.layers, self._around.opt):
            self._telemetry.keep()
        self._reporter.init_start(phase)
        trouble: Trouble | None = None
        try:
            await self._launch()
            event = await self._next_event(began + limit)
            while isinstance(event, TimedOut) and (more := self._held_up(began, limit)):
                event = await self._next_event(time.monotonic() + more)
            if isinstance(event, TimedOut):  # a last look: what it said in time may not have been read yet
                event = await self._next_event(time.monotonic() + MEMORY_CHECK)
            if not isinstance(event, Ready):
                trouble = trouble_of(event, request_id, told)
            if isinstance(event, TimedOut) and self._companions is not None and (missing := self._companions.missing()):
                self._reporter.fault(missing)
        except OSError as error:
            trouble = launch_trouble(error)
            self._reporter.fault(trouble.payload.decode())
        took = (time.monotonic() - began) * 1000
        if trouble is None:
            self.up = True
            self._rest()
        else:
            await self._end_runtime()
        status = trouble.status if trouble else "success"
        self._reporter.init_done(phase, status, trouble.error_type if trouble else None, took)
        if trouble is not None:
            await self._end(_reason(trouble))
        self._telemetry.began()
        return trouble, took

    async def _launch(self) -> None:
        self._before = NEVER
        happened = self._happened = asyncio.Queue()  # a process that is started again has a queue of its own
        self._peak = 0
        companions = self._companions = Companions(
            self.function, self._around.place, self._telemetry, self._around.opt, happened.put_nowait
        )
        self._api = RuntimeApi(companions.said, companions.handle)
        await self._api.start()
        environment = sandbox_environment(
            self.function,
            self._around.place,
            self._around.extra,
            instance=self.instance,
            runtime_api=self._api.address,
            init_type=self._init_type,
            temporary=self._temporary,
        )
        companions.start(environment, self.function.code, self._around.warden, self._reporter)
        self._process = Process(
            sandbox_command(self.function, environment, self._around.opt),
            environment,
            self.function.code,
            self._around.warden,
            on_record=self._reporter.line,
            on_exit=lambda code: self._exited(happened, code),
        )

    # -- an invocation

    async def _run(self, invocation: Invocation, answer: Answer, gate: asyncio.Semaphore) -> Result:
        if self._to_init():
            await gate.acquire()
        began = time.monotonic()
        deadline = began + self.function.timeout
        init_ms, self._init_ms = self._init_ms, None
        self._reporter.start(invocation)
        said: Responded | Failed | None = None
        answered = 0.0
        if self._to_init():
            try:
                self._init_trouble, _ = await self._init(
                    "invoke", self.function.timeout, invocation.request_id, self.function.timeout
                )
            finally:
                gate.release()
            # What the init only waited for a CPU is not the function's time.
            deadline += self._process.scheduled().waited if self._process is not None else 0.0
        trouble = self._init_trouble
        if trouble is None:
            given = time.monotonic()
            self._give(invocation, deadline)
            event = await self._in_time(given, deadline)
            if isinstance(event, Responded | Failed):
                said, answered = event, time.monotonic()
                trouble = handler_trouble(event) if isinstance(event, Failed) else None
                event = await self._settle(_result(invocation, trouble, event.body), answer, given, deadline)
            if not isinstance(event, Ready):
                # What went wrong first is the reason: the runtime also leaves when its answer was refused.
                after = trouble_of(event, invocation.request_id, self.function.timeout)
                trouble = replace(trouble, ends_sandbox=True) if trouble else after
        ended = time.monotonic()
        body = said.body if isinstance(said, Responded) else b""
        spent = Spent(
            duration_ms=(ended - began) * 1000,
            init_ms=init_ms,
            peak_memory=self._peak,
            response_latency_ms=((answered or ended) - began) * 1000,
            overhead_ms=(ended - (answered or ended)) * 1000,
            produced_bytes=len(body),
        )
        await self._finish(invocation, trouble, spent)
        result = _result(invocation, trouble, body)
        if not answer.done():
            answer.set_result(result)
        if trouble is not None and trouble.ends_sandbox:
            await self._end(_reason(trouble))
        return result

    def _to_init(self) -> bool:
        """Tell whether the init runs within this invocation, on its time.

        So does Lambda: it repeats an init that failed or was too slow, and that of a sandbox it has reset ("suppressed
        init").
        """
        return self.init_failed or self.reset

    def _give(self, invocation: Invocation, deadline: float) -> None:
        if self._process is None or self._api is None:
            raise RuntimeError("a sandbox that has not been started cannot run")
        deadline_ms = int((time.time() + deadline - time.monotonic()) * 1000)
        arn = invocation.arn or self.function.arn(self._around.place)
        self._before = self._process.scheduled()
        self._process.thaw()
        if self._companions is not None:
            self._companions.invoke(invocation.request_id, deadline_ms, arn, invocation.trace_header)
        self._api.give(
            Task(
                invocation.request_id,
                invocation.event,
                deadline_ms,
                arn,
                invocation.trace_header,
                invocation.client_context,
            )
        )

    async def _settle(self, result: Result, answer: Answer, given: float, deadline: float) -> Happened:
        """Wait until the runtime asks for the next invocation: until then it runs on the function's time."""

        def release() -> None:
            if not answer.done():
                answer.set_result(result)

        grace = asyncio.get_running_loop().call_later(ANSWER_GRACE, release)
        try:
            return await self._in_time(given, deadline)
        finally:
            grace.cancel()

    async def _next_event(self, deadline: float) -> Happened:
        """Return what happens next, be it only that the time or the memory is up."""
        getter = asyncio.ensure_future(self._happened.get())
        try:
            while (left := deadline - time.monotonic()) > 0:
                await asyncio.wait({getter}, timeout=min(MEMORY_CHECK, left))
                event = getter.result() if getter.done() else None
                if self._over_limit() and not isinstance(event, Exited):
                    return OverLimit()
                if event is not None:
                    return event
            return TimedOut()
        finally:
            getter.cancel()

    async def _in_time(self, began: float, deadline: float) -> Happened:
        """Return what happens next before the function's time is up; as in an init, the wait for a CPU is none of it.

        Else a machine that is too busy for a function's first invocation would end each of its sandboxes in it.
        """
        event = await self._next_event(deadline)
        while isinstance(event, TimedOut) and (more := self._held_up(began, deadline - began)):
            event = await self._next_event(time.monotonic() + more)
        if isinstance(event, TimedOut):  # a last look: what it said in time may not have been read yet
            event = await self._next_event(time.monotonic() + LAST_LOOK)
        return event

    def _held_up(self, began: float, limit: float) -> float:
        elapsed = time.monotonic() - began
        if self._process is None or elapsed > MAX_HOLD_UP * limit:
            return 0.0
        return self._process.held_up(elapsed, limit, self._before)

    def _over_limit(self) -> bool:
        if self._process is not None:
            beside = self._companions.peak_memory() if self._companions is not None else 0
            self._peak = max(self._peak, self._process.peak_memory() + beside)
        return self._peak > self.function.memory * 1024 * 1024

    async def _finish(self, invocation: Invocation, trouble: Trouble | None, spent: Spent) -> None:
        if trouble is not None and trouble.ends_sandbox:
            await self._end_runtime()
            self.alive = not self.init_failed
            if trouble.status != "timeout" and not self.init_failed:
                self._reporter.fault(f"RequestId: {invocation.request_id} Process exited before completing request")
        else:
            self._rest()
        status = trouble.status if trouble else "success"
        self._reporter.done(invocation, status, trouble.error_type if trouble else None, spent)

    def _rest(self) -> None:
        if self._process is not None:
            self._process.freeze()
            self._process.drain()
        if self._companions is not None:
            self._companions.freeze()

    async def _end_runtime(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.ended.wait()
            self._process = None

    async def _end(self, reason: str) -> None:
        """End the runtime, then the extensions, which are told the reason, then the APIs.

        A runtime beside an extension has notice too, by SIGTERM.
        """
        beside = self._companions is not None and self._companions.outside
        if self._process is not None and beside and reason == "spindown":
            await self._process.terminate(SHUTDOWN)
        await self._end_runtime()
        if self._companions is not None:
            await self._companions.end(reason)
            self._companions = None
        if self._api is not None:
            await self._api.stop()
            self._api = None

    def _exited(self, happened: "asyncio.Queue[Happened]", code: int) -> None:
        happened.put_nowait(Exited(code))
        if not self._busy:  # killed by somebody else while it was frozen: it must not be given an invocation
            self.alive = False


def _reason(trouble: Trouble) -> str:
    """Return the reason of a shutdown, as extensions are told it."""
    return "timeout" if trouble.status == "timeout" else "failure"


def _result(invocation: Invocation, trouble: Trouble | None, body: bytes) -> Result:
    if trouble is None:
        return Result(invocation.request_id, "success", body)
    return Result(invocation.request_id, trouble.status, trouble.payload, trouble.error_type)
