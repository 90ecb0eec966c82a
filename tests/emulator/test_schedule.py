"""Schedules: functions are fired when due, with EventBridge's event."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faasight_emulator import Emulator
from faasight_emulator.model import Function, Place, ScheduleSource
from faasight_emulator.schedule import Scheduler, scheduled_event

Start = Callable[..., Emulator]
DUE = datetime(2026, 3, 2, 10, 31, tzinfo=UTC)


def test_events() -> None:
    """A rule's event names the rule by its ARN; Scheduler's names the schedule; an Input replaces it."""
    rule = json.loads(scheduled_event(ScheduleSource("every-minute", "rate(1 minute)"), Place(), DUE))
    assert (rule["source"], rule["detail-type"], rule["time"]) == (
        "aws.events",
        "Scheduled Event",
        "2026-03-02T10:31:00Z",
    )
    assert rule["resources"] == ["arn:aws:events:us-east-1:123456789012:rule/every-minute"]
    assert rule["detail"] == {}
    scheduler = json.loads(scheduled_event(ScheduleSource("nightly", "rate(1 day)", service="scheduler"), Place(), DUE))
    assert scheduler["resources"] == ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/nightly"]
    own = ScheduleSource("x", "rate(1 day)", input='{"a": 1}')
    assert json.loads(scheduled_event(own, Place(), DUE)) == {"a": 1}


def test_fires_when_due_and_again(tmp_path: Path) -> None:
    """By a clock that runs six hundred times as fast, a rate of one minute fires every tenth of a second."""
    source = ScheduleSource("tick", "rate(1 minute)")
    function = Function("F", "f", "app.f", tmp_path, "python3.11", schedules=(source,))
    fired: list[str] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        enough = asyncio.Event()

        def clock() -> datetime:
            return DUE + timedelta(seconds=(loop.time() - began) * 600)

        def fire(_: Function, event: bytes) -> None:
            fired.append(json.loads(event)["time"])
            if len(fired) == 3:
                enough.set()

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds / 600)

        scheduler = Scheduler(Place(), fire, clock, sleep)
        scheduler.start((function,))
        await asyncio.wait_for(enough.wait(), 180)
        await scheduler.stop()

    asyncio.run(run())
    first, second, third = (datetime.fromisoformat(time) for time in fired)
    assert first == DUE + timedelta(minutes=1)
    assert timedelta(minutes=1) <= second - first
    assert timedelta(minutes=1) <= third - second
