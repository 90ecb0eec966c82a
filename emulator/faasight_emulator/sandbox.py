"""One sandbox: a runtime process and its Runtime API, from init through invocations and freezing to its end."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faasight_emulator.environment import log_stream, sandbox_command, sandbox_environment
from faasight_emulator.invocation import Invocation, Result, Status, error_payload
from faasight_emulator.model import Function, Place
from faasight_emulator.platform import Reporter, Sink, Spent, identity_of
from faasight_emulator.process import Process
from faasight_emulator.runtime_api import Failed, Ready, Responded, RuntimeApi, Said, Task
from faasight_emulator.warden import Warden

MEMORY_CHECK = 0.05  # seconds between looks at the memory of a running sandbox
# A caller gets its answer when the sandbox is free again, or so many seconds after the answer: on AWS the network hides
# that moment, and a caller that calls again at once finds the warm sandbox.
ANSWER_GRACE = 0.2


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended by itself or by a signal (a negative code)."""

    code: int


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The process has taken more memory than the function has."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time is up."""


Happened = Said | Exited | OverLimit | TimedOut


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sandboxes share. `init_limit` is in seconds; `extra` are variables for every function."""

    place: Place
    sink: Sink
    warden: Warden
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    environment: str = "default"
    init_limit: float = 10.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an init or an invocation went wrong: what the report says, and what the caller gets."""

    status: Status
    error_type: str
    payload: bytes
    ends_sandbox: bool = True


class Sandbox:
    """Runs one invocation at a time. Made by `start`, used by `run`, ended by `stop`; all on the event loop."""

    def __init__(self, function: Function, around: Surroundings, init_type: str = "on-demand") -> None:
        self.function = function
        self.instance = log_stream(function.version)
        self.alive = True
        self._around = around
        self._init_type = init_type
        self._happened: asyncio.Queue[Happened] = asyncio.Queue()
        identity = identity_of(function, around.place, around.environment, self.instance)
        self._reporter = Reporter(identity, around.sink, init_type)
        self._temporary = Path(tempfile.mkdtemp(prefix="sandbox-", dir=around.folder))
        self._process: Process | None = None
        self._busy = False
        self._api: RuntimeApi | None = None
        self._init_ms: float | None = None
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

    async def start(self) -> None:
        """Run the init. An init that is too long is killed and run again within the invocation, as Lambda does."""
        self._busy = True
        self._init_trouble = await self._init("init", self._around.init_limit, "")
        self._busy = False

    async def run(self, invocation: Invocation, answer: "asyncio.Future[Result]") -> Result:
        """Run one invocation; `answer` is set when the caller may have it, and the result is returned when all is done.

        Afterwards the sandbox is frozen, or no longer `alive`.
        """
        self._busy = True
        try:
            return await self._run(invocation, answer)
        finally:
            self._busy = False

    async def _run(self, invocation: Invocation, answer: "asyncio.Future[Result]") -> Result:
        began = time.monotonic()
        deadline = began + self.function.timeout
        init_ms, self._init_ms = self._init_ms, None
        self._reporter.start(invocation)
        trouble = self._init_trouble
        if trouble is not None and trouble.status == "timeout":
            trouble = await self._init("invoke", deadline - time.monotonic(), invocation.request_id)
            self._init_ms = None  # a second init is part of the duration
        handled = None
        if trouble is None:
            self._give(invocation, deadline)
            event = await self._next_event(deadline)
            if isinstance(event, Responded | Failed):
                handled = event
                answered = time.monotonic()
                trouble = self._handler_trouble(event)
                event = await self._settle(invocation, event, trouble, answer, deadline)
            if not isinstance(event, Ready):
                trouble = self._trouble(event, invocation.request_id, self.function.timeout)
        ended = time.monotonic()
        answered = answered if handled is not None else ended
        body = handled.body if isinstance(handled, Responded) else b""
        spent = Spent(
            duration_ms=(ended - began) * 1000,
            init_ms=init_ms,
            peak_memory=self._peak,
            response_latency_ms=(answered - began) * 1000,
            overhead_ms=(ended - answered) * 1000,
            produced_bytes=len(body),
        )
        await self._finish(invocation, trouble, spent)
        result = _result(invocation, trouble, body)
        if not answer.done():
            answer.set_result(result)
        return result

    async def stop(self) -> None:
        """End the process group and remove what the sandbox had."""
        self.alive = False
        await self._end_process()
        shutil.rmtree(self._temporary, ignore_errors=True)

    # -- init

    async def _init(self, phase: str, limit: float, request_id: str) -> Trouble | None:
        began = time.monotonic()
        self._reporter.init_start(phase)
        try:
            await self._launch()
            event = await self._next_event(began + limit)
        except OSError as error:
            message = f"the runtime could not be started: {error}"
            trouble: Trouble | None = Trouble(
                "error", "Runtime.InvalidEntrypoint", error_payload("Runtime.InvalidEntrypoint", message)
            )
        else:
            trouble = (
                None
                if isinstance(event, Ready)
                else self._trouble(event, request_id, self.function.timeout if request_id else limit)
            )
        self._init_ms = (time.monotonic() - began) * 1000
        status: Status = trouble.status if trouble else "success"
        if trouble is None:
            self._rest()
        else:
            await self._end_process()
        self._reporter.init_done(phase, status, trouble.error_type if trouble else None, self._init_ms)
        return trouble

    async def _launch(self) -> None:
        self._happened = asyncio.Queue()
        happened = self._happened  # a process that is started again has a queue of its own
        self._api = RuntimeApi(happened)
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
        self._process = Process(
            sandbox_command(self.function, environment),
            environment,
            self.function.code,
            self._around.warden,
            on_line=self._line,
            on_exit=lambda code: self._exited(happened, code),
        )

    # -- an invocation

    def _give(self, invocation: Invocation, deadline: float) -> None:
        if self._process is None or self._api is None:
            raise RuntimeError("a sandbox that has not been started cannot run")
        left = deadline - time.monotonic()
        self._process.thaw()
        self._api.give(
            Task(
                invocation.request_id,
                invocation.event,
                int((time.time() + left) * 1000),
                self.function.arn(self._around.place),
                invocation.trace_header,
                invocation.client_context,
            )
        )

    async def _settle(
        self,
        invocation: Invocation,
        event: Responded | Failed,
        trouble: Trouble | None,
        answer: "asyncio.Future[Result]",
        deadline: float,
    ) -> Happened:
        """Wait until the runtime asks for the next invocation: what runs until then still counts, and may still be killed."""
        grace = asyncio.get_running_loop().call_later(
            ANSWER_GRACE,
            lambda: answer.done() or answer.set_result(_result(invocation, trouble, event.body)),
        )
        try:
            return await self._next_event(deadline)
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

    def _over_limit(self) -> bool:
        if self._process is not None:
            self._peak = max(self._peak, self._process.peak_memory())
        return self._peak > self.function.memory * 1024 * 1024

    def _handler_trouble(self, event: Responded | Failed) -> Trouble | None:
        if isinstance(event, Responded):
            return None
        return Trouble("error", event.error_type, event.body, ends_sandbox=False)

    def _trouble(self, event: Happened, request_id: str, limit: float) -> Trouble:
        who = f"RequestId: {request_id} Error: " if request_id else ""
        match event:
            case Failed(body, error_type):
                return Trouble("error", error_type, body)
            case TimedOut():
                message = f"{who}Task timed out after {limit:.2f} seconds"
                return Trouble("timeout", "Sandbox.Timedout", error_payload("Sandbox.Timedout", message))
            case OverLimit():
                return _crash("Runtime.OutOfMemory", f"{who}Runtime exited with error: signal: killed")
            case Exited(0):
                return _crash("Runtime.ExitError", f"{who}Runtime exited without providing a reason")
            case Exited(code):
                how = f"exit status {code}" if code > 0 else f"signal: {_signal_name(-code)}"
                return _crash("Runtime.ExitError", f"{who}Runtime exited with error: {how}")
            case _:
                return _crash("Runtime.Unknown", f"{who}Runtime answered out of turn")

    async def _finish(self, invocation: Invocation, trouble: Trouble | None, spent: Spent) -> None:
        if trouble is not None and trouble.ends_sandbox:
            await self._end_process()
            self.alive = False
            if trouble.status != "timeout" and not self.init_failed:
                self._reporter.fault(f"RequestId: {invocation.request_id} Process exited before completing request")
        else:
            self._rest()
        status: Status = trouble.status if trouble else "success"
        self._reporter.done(invocation, status, trouble.error_type if trouble else None, spent)

    def _rest(self) -> None:
        if self._process is not None:
            self._process.freeze()
            self._process.drain()

    async def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.ended.wait()
            self._process = None
        if self._api is not None:
            await self._api.stop()
            self._api = None

    def _exited(self, happened: "asyncio.Queue[Happened]", code: int) -> None:
        happened.put_nowait(Exited(code))
        if not self._busy:  # killed by somebody else while it was frozen: it must not be given an invocation
            self.alive = False

    def _line(self, text: str) -> None:
        # awslambdaric writes the lines of a traceback with \r between them, so that they stay one record.
        if text:
            self._reporter.line(text.rstrip("\r").replace("\r", "\n"))


def _result(invocation: Invocation, trouble: Trouble | None, body: bytes) -> Result:
    if trouble is None:
        return Result(invocation.request_id, "success", body)
    return Result(invocation.request_id, trouble.status, trouble.payload, trouble.error_type)


def _crash(error_type: str, message: str) -> Trouble:
    return Trouble("error", error_type, error_payload(error_type, message))


def _signal_name(number: int) -> str:
    # Go's words, which are Lambda's: "killed", "segmentation fault".
    description = signal.strsignal(number) or str(number)
    return description.lower()
