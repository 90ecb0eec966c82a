"""The emulator as a service: everything put together, started in order and stopped in order."""

import asyncio
import contextlib
import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from faasight_emulator.asynchronous import AsyncInvoker
from faasight_emulator.authorizers import Authorizers
from faasight_emulator.aws import Clients, Moto, create_resources
from faasight_emulator.counts import Counter, Counts
from faasight_emulator.courier import Courier, CourierCounts
from faasight_emulator.environment import RUNTIME, with_variables
from faasight_emulator.errors import EmulatorError, StartError, UnknownFunctionError
from faasight_emulator.function_url import listen_near, serve
from faasight_emulator.gateway import MAX_BODY, Gateway
from faasight_emulator.http_server import HttpServer, listen
from faasight_emulator.invocation import Invocation, Json, Result, new_trace_header
from faasight_emulator.lambda_api import LambdaApi
from faasight_emulator.model import Function, Place
from faasight_emulator.platform import Event, Identity
from faasight_emulator.pool import ACCOUNT_LIMIT, RESERVED_LIMIT, Capacity, Pool
from faasight_emulator.reload import Watch
from faasight_emulator.requirements import missing_packages
from faasight_emulator.routes import Router
from faasight_emulator.sandbox import Surroundings
from faasight_emulator.schedule import Scheduler
from faasight_emulator.settings import Settings
from faasight_emulator.sources.counting import SourceCounts, SourceKey
from faasight_emulator.sources.model import StreamSource
from faasight_emulator.sources.running import EventSources
from faasight_emulator.states.activities import Activities
from faasight_emulator.states.api import StatesApi
from faasight_emulator.states.definition import StateMachine
from faasight_emulator.states.executions import Execution, Executions
from faasight_emulator.states.tasks import Tasks
from faasight_emulator.stored import create_stored
from faasight_emulator.targets import Targets
from faasight_emulator.template import Template
from faasight_emulator.versions import Published, Versions, plain_name
from faasight_emulator.warden import Warden

T = TypeVar("T")
Progress = Callable[[str], None]
LineSink = Callable[[str, str], None]
EventSink = Callable[[str, Event], None]

_REAP_INTERVAL = 5.0
_STOP_GRACE = 1.0  # seconds that running invocations have to end
_DELIVERY_GRACE = 1.5  # seconds for the last telemetry


class Emulator:
    """Runs the functions of a template on this machine as the cloud does.

    `progress` gets a sentence for each step of the start and each warning; `on_line` gets (function, line) for every
    line that a function prints; `on_event` gets (function, event) for every event of the platform, as the Telemetry API
    posts it. All are called from threads of the emulator and must not block.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress = lambda _: None,
        on_line: LineSink | None = None,
        on_event: EventSink | None = None,
    ) -> None:
        self.settings = settings
        self._say = progress
        self._on_line = on_line
        self._on_event = on_event
        self._undo = contextlib.ExitStack()
        self._started = False
        self._gate = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pools: dict[tuple[str, str], Pool] = {}  # by the function's name and version
        self._versions = Versions((), Published({}))
        self._sources: EventSources | None = None
        self._counter = Counter([])
        self._courier = Courier(settings.collector, progress)
        self._asynchronous: AsyncInvoker | None = None
        self._executions: Executions | None = None
        self._watching: asyncio.Task[None] | None = None
        self.template: Template | None = None
        self.place = Place(region=settings.region)
        self._clients = Clients(self.place)
        self._targets = Targets(self.place, self._clients, self._fire_by_name)

    @property
    def gateway_address(self) -> str:
        """The URL of the HTTP gateway."""
        return self.place.gateway

    def start(self) -> None:
        """Start everything; returns when requests are answered.

        Raises TemplateError or StartError, with nothing left running. An emulator is started once.
        """
        if self._started:
            raise EmulatorError("An emulator is started once; make a new one.")
        self._started = True
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything within five seconds; running invocations have one second to end. May be called twice."""
        self._undo.close()

    def invoke(self, function: str, payload: object, *, asynchronous: bool = False) -> Result:
        """Invoke a function by its name, logical id or ARN, with a qualifier or without, with a JSON value.

        From any thread. Without a qualifier $LATEST runs, as by Lambda's Invoke.

        Returns its result; for an asynchronous invocation one with an empty payload, at once.
        Raises UnknownFunctionError, TooManyRequestsError.
        """
        invocation = Invocation(json.dumps(payload).encode())
        found = self._called(function)
        if not asynchronous:
            return self._await(self._run(found, invocation))
        self._await(self._submit_later(found, invocation))
        return Result(invocation.request_id, "success")

    def execute(self, machine: str, value: object, name: str = "", *, wait: bool = True) -> Execution:
        """Start a state machine by its name, logical id or ARN with a JSON value, from any thread.

        Returns the execution when it has ended, or with `wait` false at once.
        Raises UnknownMachineError, ExecutionExistsError.
        """
        execution = self._await(self._begin_later(machine, value, name, ""))
        return self._await(self._end_of(execution)) if wait else execution

    def running(self, function: str) -> int:
        """Return how many invocations of a function run now, by its name or logical id."""
        wanted = self._function(function).name
        return sum(pool.busy for (name, _), pool in self._pools.items() if name == wanted)

    def counts(self) -> dict[str, Counts]:
        """Return what has happened so far, by function name."""
        return self._counter.all()

    def sources_of(self, function: Function) -> list[str]:
        """Return what brings events to a function, in words: `order-queue`, `topic news`, `stream clicks`."""
        if self.template is None:
            return []
        queues = [source.queue_arn.rsplit(":", 1)[-1] for source in function.queues]
        streams = [source.label for source in function.sources if isinstance(source, StreamSource)]
        return queues + streams + self.template.plumbing.pushing_to(function.name)

    def source_counts(self) -> dict[SourceKey, SourceCounts]:
        """Return what each event source has brought so far."""
        return self._sources.counter.all() if self._sources else {}

    def telemetry_counts(self) -> CourierCounts:
        """Return what became of the platform events."""
        return self._courier.counts()

    # -- start, in order; each step leaves on the stack how it is undone

    def _start(self) -> None:
        settings = self.settings
        # A wrong one is refused before anything runs.
        first = self._load()
        listener = self._listen()
        listeners = self._listen_for_urls(first)
        urls = {logical_id: f"{_address(one)}/" for logical_id, one in listeners.items()}
        self.place = replace(self.place, gateway=_address(listener), urls=urls)
        folder = Path(tempfile.mkdtemp(prefix="faasight-emulator-"))
        self._undo.callback(shutil.rmtree, folder, ignore_errors=True)
        warden = Warden(folder)
        self._undo.callback(warden.stop)
        self._undo.callback(self._join_sources)  # after moto has ended, and with it their long polls
        endpoint = settings.aws_endpoint or self._start_moto(warden, folder)
        self.place = replace(self.place, aws_endpoint=endpoint.rstrip("/"))
        template = self.template = self._load()
        for warning in (*template.warnings, *missing_packages(template.functions)):
            self._say(f"Warning: {warning}")
        others = sorted({function.runtime for function in template.functions} - {RUNTIME})
        if others:
            self._say(f"Warning: functions for {', '.join(others)} run on {RUNTIME}, the Python of the emulator")
        self._clients = Clients(self.place)
        self._targets = Targets(self.place, self._clients, self._fire_by_name)
        self._undo.callback(self._clients.close)
        create_resources(self._clients, self.place, template.queues, template.tables)
        create_stored(self._clients, self.place, template.stored)
        sources = self._sources = EventSources(
            template.functions,
            template.plumbing,
            self.place,
            self._clients,
            self._targets,
            self._invoke_bytes,
            self._say,
            self._up,
        )
        sources.create()
        self._counter = Counter([function.name for function in template.functions])
        self._courier.start()
        self._undo.callback(self._courier.stop, _DELIVERY_GRACE)
        self._start_loop()
        around = Surroundings(
            place=self.place,
            sink=_Sink(self._courier, self._on_line, self._on_event),
            warden=warden,
            folder=folder,
            extra=settings.environment,
            opt=settings.opt,
            environment=settings.environment.get("FAASIGHT_ENVIRONMENT", "default"),
            init_limit=settings.init_limit,
        )
        self._await(self._serve(template, around, listener, listeners), 120)
        self._undo.callback(sources.stop)
        sources.start()
        names = ", ".join(function.name for function in template.functions)
        self._say(f"The gateway listens on {self.gateway_address}; functions: {names}")

    def _load(self) -> Template:
        template = Template.load(self.settings.template, self.settings.parameters, self.place)
        return replace(template, functions=with_variables(template.functions, self.settings.variables))

    def _listen(self) -> socket.socket:
        port = self.settings.gateway_port
        try:
            listener = listen("127.0.0.1", port)
        except OSError as error:
            raise StartError(
                f"The gateway cannot listen on 127.0.0.1:{port} ({error.strerror}); "
                "stop what uses the port or choose another gateway port (--port; 0 takes a free one)."
            ) from error
        self._undo.callback(listener.close)
        return listener

    def _listen_for_urls(self, template: Template) -> dict[str, socket.socket]:
        """Listen for each function with a URL, by logical id, on the ports after the gateway's if they are free."""
        having = [function.logical_id for function in template.functions if function.url is not None]
        first = self.settings.gateway_port
        listeners = {one: listen_near(first + number if first else 0) for number, one in enumerate(having, 1)}
        for listener in listeners.values():
            self._undo.callback(listener.close)
        return listeners

    def _start_moto(self, warden: Warden, folder: Path) -> str:
        self._say("Starting the local AWS (moto)")
        moto = Moto(warden, folder)
        self._undo.callback(moto.stop)
        moto.start()
        return moto.endpoint

    def _start_loop(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
        thread.start()

        def end() -> None:
            with self._gate:  # whoever came before has its work on the loop, whoever comes later is refused
                self._loop = None
            loop.call_soon_threadsafe(loop.stop)
            thread.join(2)
            loop.run_until_complete(_cancel_all())
            loop.close()

        self._undo.callback(end)

    async def _serve(
        self,
        template: Template,
        around: Surroundings,
        listener: socket.socket,
        urls: Mapping[str, socket.socket],
    ) -> None:
        functions = template.functions
        reserved = sum(function.reserved or 0 for function in functions)
        unreserved = self.settings.account_concurrency - reserved
        if unreserved < 1:
            raise StartError(
                f"The functions reserve {reserved} of {self.settings.account_concurrency} concurrent executions and "
                "leave none for the others; lower ReservedConcurrentExecutions or raise the account's concurrency."
            )
        versions = self._versions = Versions(functions, template.published)
        account = Capacity(unreserved, ACCOUNT_LIMIT)
        own = {one.name: Capacity(one.reserved, RESERVED_LIMIT) for one in functions if one.reserved is not None}
        gate, idle = asyncio.Semaphore(self.settings.parallel_inits), self.settings.idle_limit
        for function, _ in versions.all():
            capacity = own.get(function.name, account)
            self._pools[function.name, function.version] = Pool(function, around, capacity, gate, self._counter, idle)
        asynchronous = self._asynchronous = AsyncInvoker(
            self._run, self._targets, self.place, self._say, self.settings.retry_delays
        )
        scheduler = Scheduler(self.place, self._fire)
        activities = Activities(template.activities)
        executions = self._executions = Executions(
            template.machines,
            self.place,
            around.environment,
            around.sink,
            lambda starter: Tasks(
                versions.find, self._run, asynchronous.submit, self._clients, self.place, starter, activities
            ),
        )
        api = LambdaApi(versions.find, self._run, asynchronous.submit)
        authorizers = Authorizers(self._run, self._function, self.place, self._say, self.settings.jwks)
        gateway = Gateway(
            Router(template.apis, [*functions, *template.machines]),
            self._run,
            api,
            StatesApi(executions, activities, self.place),
            authorizers,
            self.place,
        )
        servers = [(HttpServer(gateway.handle, max_body=MAX_BODY), listener)]
        servers += [
            (serve(function, gateway), urls[function.logical_id])
            for function in functions
            if function.logical_id in urls
        ]
        reaper = asyncio.get_running_loop().create_task(self._reap())
        self._undo.callback(
            lambda: self._await(self._halt([one for one, _ in servers], scheduler, asynchronous, reaper), 8)
        )
        for function, count in versions.all():
            await self._pools[function.name, function.version].provision(count)
        for server, port in servers:
            await server.start(port)
        scheduler.start([*functions, *template.machines])
        if self.settings.reload:
            folders = {folder for one in functions for folder in (one.code, *one.layers)}
            watch = Watch([self.settings.template, *folders], self._renew)
            self._watching = asyncio.get_running_loop().create_task(watch.run())  # ends with the loop

    async def _halt(
        self,
        servers: Sequence[HttpServer],
        scheduler: Scheduler,
        asynchronous: AsyncInvoker,
        reaper: "asyncio.Task[None]",
    ) -> None:
        reaper.cancel()
        await scheduler.stop()
        await asynchronous.stop()
        if self._executions is not None:
            await self._executions.stop()
        end = time.monotonic() + _STOP_GRACE
        while any(pool.busy for pool in self._pools.values()) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for server in servers:
            await server.stop()
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))

    def _join_sources(self) -> None:
        if self._sources is not None:
            self._sources.join()

    # -- invocations

    def _function(self, name: str) -> Function:
        if self.template is None:
            raise UnknownFunctionError(f"There is no function '{name}'; there are none; start it first.")
        return self.template.find(name)

    def _called(self, name: str) -> Function:
        """Return the function of a name that may have a qualifier."""
        self._function(plain_name(name))
        return self._versions.find(name)

    def _invoke_bytes(self, function: str, event: bytes) -> Result:
        found = self._function(function)
        return self._await(self._run(found, Invocation(event, new_trace_header(found.tracing))))

    def _up(self, function: str) -> bool:
        """Tell whether any sandbox of a function has come up, from any thread."""
        return any(pool.up for (name, _), pool in self._pools.items() if name == function)

    async def _run(self, function: Function, invocation: Invocation) -> Result:
        """Run an invocation of a function, of that version which its alias points to."""
        picked = self._versions.pick(function)
        pool = self._pools[picked.name, picked.version]
        result = await pool.invoke(replace(invocation, arn=picked.arn(self.place)))
        return replace(result, version=picked.version)

    def _fire(self, owner: Function | StateMachine, event: bytes) -> None:
        if isinstance(owner, StateMachine):
            self._begin(owner.name, json.loads(event), "", "")
        elif self._asynchronous is not None:
            self._asynchronous.submit(owner, Invocation(event, new_trace_header(owner.tracing)))

    def _begin(self, machine: str, value: Json, name: str, header: str) -> Execution:
        if self._executions is None:
            raise EmulatorError("The emulator is not running; start it first.")
        return self._executions.start(self._executions.machine(machine), value, name, header)

    async def _begin_later(self, machine: str, value: Json, name: str, header: str) -> Execution:
        return self._begin(machine, value, name, header)

    async def _end_of(self, execution: Execution) -> Execution:
        return await self._executions.wait(execution) if self._executions is not None else execution

    async def _submit_later(self, function: Function, invocation: Invocation) -> None:
        if self._asynchronous is not None:
            self._asynchronous.submit(function, invocation)

    def _fire_by_name(self, name: str, event: bytes, trace: str = "") -> None:
        """Invoke a function asynchronously, or start a state machine by its ARN; from any thread but the loop's."""
        if name.startswith("arn:aws:states:"):
            self._await(self._begin_later(name, json.loads(event), "", trace), 30)
            return
        function = self._versions.find(name) if ":" in name else self._function(name)
        self._await(self._submit_later(function, Invocation(event, trace or new_trace_header(function.tracing))), 30)

    async def _renew(self, changed: Path) -> None:
        """Let the functions whose code has changed start anew."""
        if changed == self.settings.template:
            self._say(f"{changed} has changed; stop and start again to run it as it is now")
            return
        pools = [pool for pool in self._pools.values() if changed in (pool.function.code, *pool.function.layers)]
        names = sorted({pool.function.name for pool in pools})
        self._say(f"The code in {changed} has changed: {', '.join(names)} begins anew")
        await asyncio.gather(*(pool.renew() for pool in pools))

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(min(_REAP_INTERVAL, max(self.settings.idle_limit, 0.1)))
            for pool in self._pools.values():
                await pool.reap()

    def _await(self, work: Coroutine[Any, Any, T], within: float | None = None) -> T:
        """Run a coroutine on the emulator's loop and wait for it, from any other thread."""
        with self._gate:
            if self._loop is None:
                work.close()
                raise EmulatorError("The emulator is not running; start it first.")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within)
        except CancelledError as error:
            raise EmulatorError("The emulator was stopped before the function had ended.") from error


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def _cancel_all() -> None:
    """Cancel what is left on a loop, so that nobody waits for it for ever."""
    await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Sink:
    """Sends events to the courier, and the lines of functions to whoever listens."""

    def __init__(self, courier: Courier, on_line: LineSink | None, on_event: EventSink | None) -> None:
        self._courier = courier
        self._on_line = on_line
        self._on_event = on_event

    def put(self, identity: Identity, event: Event) -> None:
        """Take one event."""
        self._courier.put(identity, event)
        if "type" not in event:  # a span
            return
        if self._on_line is not None and event["type"] == "function":
            self._on_line(identity.function, event["record"])
        if self._on_event is not None:
            self._on_event(identity.function, event)
