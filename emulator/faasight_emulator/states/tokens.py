"""Task tokens: what tasks wait for until somebody outside sends it back, or sends no heartbeat any more."""

import asyncio
import secrets
from dataclasses import dataclass, field

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import HEARTBEAT, StatesError


@dataclass(slots=True)
class _Waiting:
    answer: "asyncio.Future[Json]"
    beat: asyncio.Event = field(default_factory=asyncio.Event)


class Tokens:
    """The tokens of all executions. All on the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}

    def issue(self) -> str:
        """Return a new token; it is good until it is dropped."""
        token = secrets.token_hex(16)
        self._waiting[token] = _Waiting(asyncio.get_running_loop().create_future())
        return token

    def drop(self, token: str) -> None:
        """Have a token no longer; nothing waits for it."""
        waiting = self._waiting.pop(token, None)
        if waiting is not None:
            waiting.answer.cancel()

    def send(self, token: str, result: Json) -> bool:
        """Send a task's result; a StatesError is its failure. False: nobody waits for it."""
        waiting = self._waiting.get(token)
        if waiting is None or waiting.answer.done():
            return False
        if isinstance(result, StatesError):
            waiting.answer.set_exception(result)
        else:
            waiting.answer.set_result(result)
        return True

    def beat(self, token: str) -> bool:
        """Tell that the work for a token goes on. False: nobody waits for it."""
        waiting = self._waiting.get(token)
        if waiting is None or waiting.answer.done():
            return False
        waiting.beat.set()
        return True

    async def answer(self, token: str, heartbeat: float | None = None) -> Json:
        """Return what is sent. Raises the StatesError that is sent, or one after `heartbeat` seconds without a beat."""
        waiting = self._waiting[token]
        while True:
            beat = asyncio.ensure_future(waiting.beat.wait())
            try:
                either: set[asyncio.Future[Json]] = {waiting.answer, beat}
                await asyncio.wait(either, timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED)
                if waiting.answer.done():
                    return waiting.answer.result()
                if not beat.done():
                    raise StatesError(HEARTBEAT, f"no heartbeat for {heartbeat:g} s", task=True)
            finally:
                beat.cancel()
            waiting.beat.clear()
