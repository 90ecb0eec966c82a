"""How many gRPC messages are read at once: grpcio takes as much memory as comes, so that few may come at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faasight_collector.errors import overloaded

Message = TypeVar("Message")

_SETTLED_S = 1.0  # who reads for longer gives its place up if others wait


class Readers:
    """A bounded number of places to read from; a whole message is there at once, so that a place is free again soon.

    When all are taken, the newest call waits least (the older ones' clients may have given up), and whoever has been
    sending for longest gives way.
    """

    def __init__(self, places: int, longest_s: float) -> None:
        self._free = places
        self._longest_s = longest_s
        self._reading: dict[asyncio.Timeout, float] = {}  # oldest first; since when
        self._waiting: list[asyncio.Future[None]] = []  # newest last
        self._look: asyncio.TimerHandle | None = None

    async def read(self, message: Callable[[], Awaitable[Message]]) -> Message:
        """Await a message in a place of its own. Raises Refusal (UNAVAILABLE) if it does not come in time."""
        if self._free:
            self._free -= 1
        else:
            await self._wait()
        limit = asyncio.timeout(self._longest_s)
        try:
            async with limit:
                self._reading[limit] = asyncio.get_running_loop().time()
                return await message()
        except TimeoutError:
            raise overloaded("slow_request", "the message did not come in time", retry_after_s=1) from None
        finally:
            self._reading.pop(limit, None)
            self._leave()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.append(place)
        if self._look is None:
            self._look = loop.call_later(_SETTLED_S, self._make_room)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._waiting.remove(place)
            else:
                self._leave()  # it was given a place just before
            raise

    def _leave(self) -> None:
        while self._waiting:
            place = self._waiting.pop()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _make_room(self) -> None:
        """End the oldest reading, one for each that waits."""
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(_SETTLED_S, self._make_room) if self._waiting else None
        before = loop.time() - _SETTLED_S
        slow = [limit for limit, since in self._reading.items() if since <= before]
        for limit in slow[: len(self._waiting)]:
            limit.reschedule(loop.time())
