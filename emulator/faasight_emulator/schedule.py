"""Fires the schedules of a template: rules of EventBridge and of EventBridge Scheduler."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from faasight_emulator.cron import next_time
from faasight_emulator.model import Function, Place, ScheduleSource
from faasight_emulator.states.definition import StateMachine

_LONGEST_SLEEP = 30.0  # seconds; so that a machine that slept, or a clock that was set, is noticed

Owner = Function | StateMachine
Fire = Callable[[Owner, bytes], None]


class Scheduler:
    """Calls `fire` with a function or a state machine and its event when a schedule is due.

    A time that was missed is not made up for.
    """

    def __init__(
        self,
        place: Place,
        fire: Fire,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self._place = place
        self._fire = fire
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, owners: Sequence[Owner]) -> None:
        """Begin with every schedule of these; to be called on the event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(owner, source)) for owner in owners for source in owner.schedules]

    async def stop(self) -> None:
        """Fire no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, owner: Owner, source: ScheduleSource) -> None:
        due = next_time(source.expression, self._clock())
        while due is not None:
            while (left := (due - self._clock()).total_seconds()) > 0:
                await self._sleep(min(left, _LONGEST_SLEEP))
            self._fire(owner, scheduled_event(source, self._place, due))
            now = self._clock()
            due = next_time(source.expression, due)  # from when it was due, so that a rate does not drift
            if due is not None and due <= now:
                due = next_time(source.expression, now)


def scheduled_event(source: ScheduleSource, place: Place, due: datetime) -> bytes:
    """Return what the function gets: the rule's own Input, or the scheduled event of the service."""
    if source.input is not None:
        return source.input.encode()
    rule = source.service == "events"
    arn = (
        place.arn("events", f"rule/{source.name}")
        if rule
        else place.arn("scheduler", f"schedule/default/{source.name}")
    )
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events" if rule else "aws.scheduler",
        "account": place.account,
        "time": due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": place.region,
        "resources": [arn],
        "detail": {} if rule else "{}",
    }
    return json.dumps(event).encode()
