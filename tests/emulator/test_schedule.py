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


def test_fires_when_due_and_again_and_makes_up_for_nothing(tmp_path: Path) -> None:
    """By a clock that only sleeping moves; the third sleep is too long, as on a machine that was suspended."""
    source = ScheduleSource("tick", "rate(1 minute)")
    function = Function("F", "f", "app.f", tmp_path, "python3.11", schedules=(source,))
    fired: list[str] = []
    slept: list[float] = []

    async def run() -> None:
        enough = asyncio.Event()

        def clock() -> datetime:
            return DUE + timedelta(seconds=sum(slept))

        def fire(_: Function, event: bytes) -> None:
            fired.append(json.loads(event)["time"])
            if len(fired) == 4:
                enough.set()

        async def sleep(seconds: float) -> None:
            slept.append(210 if len(slept) == 2 else seconds)
            await asyncio.sleep(0)

        scheduler = Scheduler(Place(), fire, clock, sleep)
        scheduler.start((function,))
        await asyncio.wait_for(enough.wait(), 180)
        await scheduler.stop()

    asyncio.run(run())
    # The second one comes at 10:35:30 and is told with the time when it was due; the rate goes on from then.
    assert fired[:4] == [f"2026-03-02T10:{time}Z" for time in ("32:00", "33:00", "36:30", "37:30")]
