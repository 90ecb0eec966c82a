"""How many gRPC messages are read at once: grpcio takes as much memory as comes, so that few may come at a time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faasight_collector.errors import overloaded

Message = TypeVar("Message")

_SETTLED_S = 1.0  # who reads for longer gives its place up if others wait
_KEPT_S = (
    3.0  # how long a large message waits for its turn at the disk: on a busy machine a second refused three in four
)
_PATIENCE_S = 8.0  # for a place; clients give up after 10 s, as OTLP has it, and are better told to come again


class Readers:
    """A bounded number of places to read from; a whole message is there at once, so that a place is free again soon.

    When all are taken, the newest call waits least (the older ones' clients may have given up), and whoever has been
    sending for longest gives way. Of those that keep their place after reading, for the disk, at most `kept` do so for
    long: what is left goes round, so that small messages pass while large ones wait.
    """

    def __init__(
        self, places: int, longest_s: float, *, kept: int | None = None, patience_s: float = _PATIENCE_S
    ) -> None:
        self._free = places
        self._keeping = asyncio.Semaphore(places if kept is None else kept)
        self._longest_s = longest_s
        self._patience_s = patience_s
        self._reading: dict[asyncio.Timeout, float] = {}  # oldest first; since when
        self._waiting: list[asyncio.Future[None]] = []  # newest last
        self._look: asyncio.TimerHandle | None = None

    async def read(
        self, message: Callable[[], Awaitable[Message]], keep: Callable[[Message], bool] = lambda _: False
    ) -> Message:
        """Await a message in a place of its own; with `keep` of it true, the caller gives the place back by `let_go`.

        Raises Refusal (UNAVAILABLE) if it does not come in time, or no place becomes free, or too many are kept.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait()
        kept, limit = False, asyncio.timeout(self._longest_s)
        try:
            try:
                async with limit:
                    self._reading[limit] = asyncio.get_running_loop().time()
                    read = await message()
            except TimeoutError:
                raise overloaded("slow_request", "the message did not come in time", retry_after_s=1) from None
            finally:
                self._reading.pop(limit, None)
            if keep(read):
                kept = await self._keep()
                if not kept:
                    del read  # else the refusal, which remembers this frame, would hold it
                    raise overloaded("busy", "too many large messages wait for the disk", retry_after_s=1)
        finally:
            if not kept:
                self.leave()
        return read

    async def _keep(self) -> bool:
        """Wait for one of the places that may be kept; False if there is none in time."""
        try:
            async with asyncio.timeout(_KEPT_S):
                return await self._keeping.acquire()
        except TimeoutError:
            return False

    def let_go(self) -> None:
        """Give a place back that was kept."""
        self._keeping.release()
        self.leave()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.append(place)
        if self._look is None:
            self._look = loop.call_later(_SETTLED_S, self._make_room)
        try:
            async with asyncio.timeout(self._patience_s):
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.cancelled():
                with contextlib.suppress(ValueError):  # `leave` came across it first, and passed it over
                    self._waiting.remove(place)
            else:
                self.leave()  # it was given a place just before
            if isinstance(error, TimeoutError):
                raise overloaded("busy", "too many calls wait to be read", retry_after_s=1) from None
            raise

    def leave(self) -> None:
        """Give a place back, to the newest call that waits."""
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
