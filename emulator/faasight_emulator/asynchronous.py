"""Asynchronous invocations: Lambda's own queue with its retries, dead-letter queues and destinations."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.destinations import Outcome, dead_letter_attributes, invocation_record, on_a_bus
from faasight_emulator.errors import EmulatorError, TooManyRequestsError
from faasight_emulator.invocation import Invocation, Json, Result, same_trace
from faasight_emulator.model import Function, Place
from faasight_emulator.targets import Attributes, Targets

# Lambda waits one minute before the second try and two before the third.
RETRY_DELAYS = (60.0, 120.0)
_THROTTLE_DELAYS = (1.0, 300.0)
_PENDING_LIMIT = 10_000

Run = Callable[[Function, Invocation], Awaitable[Result]]


class AsyncInvoker:
    """Runs invocations that nobody waits for. All on the event loop.

    Outcomes go to `targets`; `warn` is told of one that could not. `throttle_delays` are the first and the longest wait
    after a throttle, in seconds.
    """

    def __init__(
        self,
        run: Run,
        targets: Targets,
        place: Place,
        warn: Callable[[str], None],
        delays: Sequence[float] = RETRY_DELAYS,
        throttle_delays: tuple[float, float] = _THROTTLE_DELAYS,
    ) -> None:
        self._place = place
        self._run = run
        self._targets = targets
        self._warn = warn
        self._delays = delays
        self._throttle_delays = throttle_delays
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, function: Function, invocation: Invocation) -> None:
        """Take an invocation. Raises TooManyRequestsError if too many wait."""
        if len(self._tasks) >= _PENDING_LIMIT:
            raise TooManyRequestsError(function.name, "CallerRateLimitExceeded", invocation.request_id)
        task = asyncio.get_running_loop().create_task(self._work(function, invocation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Drop what waits."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, function: Function, invocation: Invocation) -> None:
        outcome = await self._run_to_the_end(function, invocation)
        policy, trace = function.asynchronous, invocation.trace_header
        target = policy.on_success if outcome.ok else policy.on_failure
        if target:
            record: Json = invocation_record(function, self._place, invocation, outcome)
            if ":event-bus/" in target:
                record = on_a_bus(record, target)
            await self._tell(target, json.dumps(record), {}, trace, f"aws/lambda/async/{function.name}")
        if not outcome.ok and policy.dead_letter:
            attributes = dead_letter_attributes(invocation, outcome)
            await self._tell(policy.dead_letter, invocation.event.decode("utf-8", "replace"), attributes, trace)

    async def _tell(self, arn: str, body: str, attributes: Attributes, trace: str, folder: str = "") -> None:
        try:
            await asyncio.to_thread(self._targets.send, arn, body, attributes, trace=trace, folder=folder)
        except (BotoCoreError, ClientError, EmulatorError) as error:
            self._warn(f"Warning: an invocation's outcome did not reach {arn} and is lost, as on AWS: {error}")

    async def _run_to_the_end(self, function: Function, invocation: Invocation) -> Outcome:
        """Invoke until it succeeds, its retries are used up, or the event is too old."""
        policy = function.asynchronous
        if function.reserved == 0:  # it will not run, so there is nothing to wait for
            return Outcome("ZeroReservedConcurrency", None, 0)
        end = time.monotonic() + policy.maximum_age
        last: Result | None = None
        for attempt in range(1, policy.retries + 2):
            header = invocation.trace_header if attempt == 1 else same_trace(invocation.trace_header)
            result = await self._try(function, replace(invocation, trace_header=header), end)
            if result is None:
                return Outcome("EventAgeExceeded", last, attempt - 1)
            if result.ok:
                return Outcome("Success", result, attempt)
            last = result
            delay = self._delays[min(attempt, len(self._delays)) - 1]
            if attempt > policy.retries:
                break
            if time.monotonic() + delay > end:
                return Outcome("EventAgeExceeded", last, attempt)
            await asyncio.sleep(delay)
        return Outcome("RetriesExhausted", last, policy.retries + 1)

    async def _try(self, function: Function, invocation: Invocation, end: float) -> Result | None:
        """Invoke; throttles are tried again until the event is too old (None)."""
        delay, longest = self._throttle_delays
        while True:
            try:
                return await self._run(function, invocation)
            except TooManyRequestsError:
                if time.monotonic() + delay > end:
                    return None
                await asyncio.sleep(delay)
                delay = min(delay * 2, longest)
