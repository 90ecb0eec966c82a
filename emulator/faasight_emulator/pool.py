"""The sandboxes of one function: reuse of warm ones, scale-out with a cold start, and throttles at the limits."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from faasight_emulator.counts import Counter
from faasight_emulator.errors import TooManyRequestsError
from faasight_emulator.invocation import Invocation, Result
from faasight_emulator.model import Function
from faasight_emulator.platform import identity_of, throttle_event
from faasight_emulator.sandbox import Sandbox, Surroundings

RESERVED_LIMIT = "ReservedFunctionConcurrentInvocationLimitExceeded"
ACCOUNT_LIMIT = "ConcurrentInvocationLimitExceeded"


class Capacity:
    """How many invocations may still begin: of one function's reservation, or of the account's for all the others.

    `reason` is AWS's word for that limit.
    """

    def __init__(self, free: int, reason: str) -> None:
        self.free = free
        self.reason = reason


class Pool:
    """Runs the invocations of one function. All on the event loop."""

    def __init__(
        self,
        function: Function,
        around: Surroundings,
        capacity: Capacity,
        gate: asyncio.Semaphore,
        counter: Counter,
        idle_limit: float,
    ) -> None:
        """`capacity` may be shared with other pools.

        `gate` bounds how many processes start at once: on AWS every one has a CPU of its own. Waiting there is part of
        no init, as finding a place is none on AWS. Whoever waits takes a sandbox that becomes free before, so that a
        slow machine is not given the more to start, the slower it is.
        """
        self.function = function
        self._around = around
        self._capacity = capacity
        self._gate = gate
        self._counter = counter
        self._idle_limit = idle_limit
        self._idle: list[tuple[Sandbox, float]] = []
        self._waiting: deque[asyncio.Future[Sandbox]] = deque()  # for a place to start, or for a sandbox that is free
        self._sandboxes: set[Sandbox] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._old: set[Sandbox] = set()  # of code that has changed: they end when they are done
        self._ahead = 0
        self._closed = False

    @property
    def busy(self) -> int:
        """How many invocations run now."""
        return len(self._running)

    @property
    def up(self) -> bool:
        """Whether a sandbox has come up; to be asked from any thread."""
        return any(sandbox.up for sandbox in tuple(self._sandboxes))

    async def provision(self, count: int) -> None:
        """Start sandboxes of provisioned concurrency, ahead of any invocation."""
        self._ahead = count
        for _ in range(count):
            async with self._gate:
                sandbox = await self._start("provisioned-concurrency")
            if sandbox.init_failed:
                await self._discard(sandbox)
                return
            self._free(sandbox)

    async def invoke(self, invocation: Invocation) -> Result:
        """Run an invocation and return its result.

        Raises TooManyRequestsError if the function or the account is at its limit.
        """
        if self._capacity.free <= 0:
            self._throttle(invocation, self._capacity.reason)
            raise TooManyRequestsError(self.function.name, self._capacity.reason, invocation.request_id)
        self._capacity.free -= 1
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        task = asyncio.get_running_loop().create_task(self._serve(invocation, answer))
        self._running.add(task)
        task.add_done_callback(lambda done: self._done(done, answer))
        return await asyncio.shield(answer)

    async def renew(self) -> None:
        """Let the next invocations begin in new sandboxes; what runs ends where it is."""
        self._old |= self._sandboxes
        idle, self._idle = self._idle, []
        for sandbox, _ in idle:
            await self._discard(sandbox)
        if not self._closed:
            await self.provision(self._ahead)

    async def reap(self, now: Callable[[], float] = time.monotonic) -> None:
        """End the sandboxes that have been idle for too long."""
        old = [box for box, since in self._idle if not box.provisioned and now() - since > self._idle_limit]
        self._idle = [entry for entry in self._idle if entry[0] not in old]
        for sandbox in old:
            await self._discard(sandbox)

    async def stop(self) -> None:
        """End all sandboxes, with what runs in them."""
        self._closed = True
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._idle.clear()
        await asyncio.gather(*(self._discard(sandbox) for sandbox in list(self._sandboxes)))

    def _throttle(self, invocation: Invocation, reason: str) -> None:
        self._counter.throttle(self.function.name)
        identity = identity_of(self.function, self._around.place, self._around.environment)
        self._around.sink.put(identity, throttle_event(invocation.request_id, reason, datetime.now(UTC)))

    async def _serve(self, invocation: Invocation, answer: "asyncio.Future[Result]") -> None:
        sandbox = await self._warm_sandbox() or await self._freed_or_new()
        cold = sandbox.fresh or sandbox.reset
        try:
            result = await sandbox.run(invocation, answer, self._gate)
            init_error = cold and sandbox.init_failed and not sandbox.alive
            self._counter.result(self.function.name, result, cold=cold, init_error=init_error)
        finally:
            if sandbox.alive and not self._closed and sandbox not in self._old:
                self._free(sandbox)
            else:
                await self._discard(sandbox)

    def _done(self, task: "asyncio.Task[None]", answer: "asyncio.Future[Result]") -> None:
        self._running.discard(task)
        self._capacity.free += 1
        if answer.done():
            return
        if task.cancelled():
            answer.cancel()
        elif (error := task.exception()) is not None:
            answer.set_exception(error)

    async def _warm_sandbox(self) -> Sandbox | None:
        """Return the sandbox that was used last, so that the others may grow old."""
        while self._idle:
            sandbox = self._idle.pop()[0]
            if sandbox.alive:
                return sandbox
            await self._discard(sandbox)
        return None

    def _free(self, sandbox: Sandbox) -> None:
        """Give a sandbox to who has waited longest, else have it wait."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(sandbox)
                return
        self._idle.append((sandbox, time.monotonic()))

    async def _freed_or_new(self) -> Sandbox:
        """Return whichever comes first: a sandbox that another invocation leaves, or a new one, when it may start."""
        freed: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
        place = asyncio.ensure_future(self._gate.acquire())
        self._waiting.append(freed)
        try:
            either: set[asyncio.Future[Any]] = {freed, place}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if freed.done():
                return freed.result()
            freed.cancel()
            return await self._start("on-demand")
        finally:
            freed.cancel()
            if not place.cancel() and not place.cancelled():
                self._gate.release()

    async def _start(self, init_type: str) -> Sandbox:
        """Return a new sandbox that has been started; the caller has a place at the gate."""
        sandbox = Sandbox(self.function, self._around, init_type)
        self._sandboxes.add(sandbox)
        await sandbox.start()
        return sandbox

    async def _discard(self, sandbox: Sandbox) -> None:
        self._sandboxes.discard(sandbox)
        self._old.discard(sandbox)
        await sandbox.stop()
