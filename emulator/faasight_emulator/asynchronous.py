"""Asynchronous invocations: Lambda's own queue with its retries, dead-letter queues and destinations."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from faasight_emulator.errors import TooManyRequestsError
from faasight_emulator.invocation import Invocation, Json, Result, new_trace_header
from faasight_emulator.model import AsyncPolicy, Function, Place

# Lambda waits one minute before the second try and two before the third.
RETRY_DELAYS = (60.0, 120.0)
_THROTTLE_DELAYS = (1.0, 300.0)
_PENDING_LIMIT = 10_000

Run = Callable[[Function, Invocation], Awaitable[Result]]
Send = Callable[[str, bytes, dict[str, str]], Awaitable[None]]


class AsyncInvoker:
    """Runs invocations that nobody waits for. All on the event loop.

    `send` brings a body, with message attributes, to the queue or function of an ARN.
    """

    def __init__(self, run: Run, send: Send, place: Place, delays: Sequence[float] = RETRY_DELAYS) -> None:
        self._place = place
        self._run = run
        self._send = send
        self._delays = delays
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
        policy = function.asynchronous
        end = time.monotonic() + policy.maximum_age
        attempt = 0
        result: Result | None = None
        for attempt in range(1, policy.retries + 2):
            result = await self._try(
                function, replace(invocation, trace_header=new_trace_header(function.tracing)), end
            )
            if result is None or result.ok or attempt > policy.retries:
                break
            delay = self._delays[min(attempt, len(self._delays)) - 1]
            if time.monotonic() + delay > end:
                break
            await asyncio.sleep(delay)
        await self._settle(function, invocation, result, attempt, policy)

    async def _try(self, function: Function, invocation: Invocation, end: float) -> Result | None:
        """Invoke; throttles are tried again until the event is too old (None)."""
        delay, longest = _THROTTLE_DELAYS
        while True:
            try:
                return await self._run(function, invocation)
            except TooManyRequestsError:
                if time.monotonic() + delay > end:
                    return None
                await asyncio.sleep(delay)
                delay = min(delay * 2, longest)

    async def _settle(
        self, function: Function, invocation: Invocation, result: Result | None, attempts: int, policy: AsyncPolicy
    ) -> None:
        ok = result is not None and result.ok
        target = policy.on_success if ok else policy.on_failure
        if target:
            await self._send(target, _destination_record(function, self._place, invocation, result, attempts), {})
        if not ok and policy.dead_letter:
            attributes = {
                "RequestID": invocation.request_id,
                "ErrorCode": "200" if result else "429",
                "ErrorMessage": (result.payload[:1024].decode("utf-8", "replace") if result else "Rate Exceeded"),
            }
            await self._send(policy.dead_letter, invocation.event, attributes)


def _destination_record(
    function: Function, place: Place, invocation: Invocation, result: Result | None, attempts: int
) -> bytes:
    condition = "Success" if result and result.ok else "RetriesExhausted" if result else "EventAgeExceeded"
    context = {"statusCode": 200, "executedVersion": function.version}
    if result is not None and not result.ok:
        context["functionError"] = "Unhandled"
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": function.arn(place),
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": _loads(invocation.event),
        "responseContext": context,
        "responsePayload": _loads(result.payload) if result else None,
    }
    return json.dumps(record).encode()


def _loads(payload: bytes) -> Json:
    try:
        return json.loads(payload)
    except ValueError:
        return None
