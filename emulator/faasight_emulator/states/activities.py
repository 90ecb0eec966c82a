"""Activities: tasks that workers outside fetch, do, and answer by their token.

Source: docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import RUNTIME, StatesError

MARK = ":activity:"


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker gets; `taken` is set to the worker's name when one has it."""

    token: str
    argument: Json
    taken: "asyncio.Future[str]"


@dataclass(frozen=True, slots=True)
class _Worker:
    name: str
    work: "asyncio.Future[Work]"
    gone: Callable[[], bool]


@dataclass(slots=True)
class _Line:
    """The work that waits for a worker, or the workers that wait for work."""

    work: deque[Work] = field(default_factory=deque)
    workers: deque[_Worker] = field(default_factory=deque)


class Activities:
    """All activities by ARN. All on the event loop."""

    def __init__(self, arns: Iterable[str] = ()) -> None:
        self._lines = {arn: _Line() for arn in arns}

    def create(self, arn: str) -> None:
        """Have an activity; one that is there stays as it is."""
        self._lines.setdefault(arn, _Line())

    def delete(self, arn: str) -> None:
        """Have an activity no longer; work that waits for it waits on."""
        self._lines.pop(arn, None)

    def all(self) -> list[str]:
        """Return the ARNs."""
        return list(self._lines)

    async def hand_over(self, arn: str, token: str, argument: Json) -> str:
        """Wait until a worker has taken the work; returns the worker's name. Raises StatesError."""
        line = self._lines.get(arn)
        if line is None:
            raise StatesError(RUNTIME, f"there is no activity '{arn}'; make an AWS::StepFunctions::Activity")
        work = Work(token, argument, asyncio.get_running_loop().create_future())
        line.work.append(work)
        _match(line)
        return await work.taken  # cancelled with whoever waits here, and then it is given to nobody

    async def take(self, arn: str, worker: str, gone: Callable[[], bool], within: float) -> Work | None:
        """Return work as soon as there is some, None after `within` seconds; `gone` tells of a worker that hung up.

        Raises KeyError if there is no such activity.
        """
        line = self._lines[arn]
        waiting = _Worker(worker, asyncio.get_running_loop().create_future(), gone)
        line.workers.append(waiting)
        _match(line)
        try:
            return await asyncio.wait_for(waiting.work, within)
        except TimeoutError:
            return None


def _match(line: _Line) -> None:
    """Give work to workers, each in the order of their coming."""
    while line.work and line.workers:
        if line.work[0].taken.done():
            line.work.popleft()
        elif line.workers[0].work.done() or line.workers[0].gone():
            line.workers.popleft()
        else:
            work, worker = line.work.popleft(), line.workers.popleft()
            work.taken.set_result(worker.name)
            worker.work.set_result(work)
