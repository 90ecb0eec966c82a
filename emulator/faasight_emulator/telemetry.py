"""The Telemetry API of one sandbox: its events posted to the extensions that subscribed.

Source: docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html. What an extension does not take is posted
again; what does not fit is dropped. While the sandbox is frozen a post waits with it.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from faasight_emulator.platform import Event, Identity, Sink

_TYPES = ("platform", "function", "extension")
_HOSTS = ("sandbox.localdomain", "sandbox", "127.0.0.1", "localhost")
_AGAIN = 0.1  # seconds until a batch that was not taken is posted again
_MAX_EARLY = 1_000  # events
_MAX_WAITING = 10_000  # events of one subscription


@dataclass(slots=True)
class Subscription:
    """What one extension wants: the types of events, how they are gathered, and where they go."""

    types: tuple[str, ...]
    host: str
    port: int
    path: str
    items: int = 1000
    size: int = 262_144  # bytes
    seconds: float = 1.0
    waiting: list[bytes] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def read(cls, wish: Mapping[str, Any]) -> "Subscription":
        """Read the body of a subscription. Raises ValueError, KeyError, TypeError, AttributeError."""
        types = tuple(wish["types"])
        if not types or any(one not in _TYPES for one in types):
            raise ValueError(f"types must be some of {', '.join(_TYPES)}")
        destination, buffering = wish["destination"], wish.get("buffering") or {}
        url = urlsplit(destination["URI"])
        if destination.get("protocol") != "HTTP" or url.hostname not in _HOSTS:
            raise ValueError("the destination must be HTTP at sandbox.localdomain; TCP is not emulated")
        return cls(
            types,
            "127.0.0.1",  # what sandbox.localdomain is within a sandbox
            url.port or 80,
            url.path or "/",
            int(buffering.get("maxItems", 1000)),
            int(buffering.get("maxBytes", 262_144)),
            int(buffering.get("timeoutMs", 1000)) / 1000,
        )


class Telemetry:
    """Takes a sandbox's events, passes them on to the sink, and posts them to whoever subscribed. On the event loop."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._early: list[tuple[str, bytes]] | None = None  # of an init: who subscribes gets them too
        self._identity: Identity | None = None
        self._subscriptions: list[Subscription] = []
        self._posting: set[asyncio.Task[None]] = set()

    def put(self, identity: Identity, event: Event) -> None:
        """Take one event."""
        self._identity = identity
        self._sink.put(identity, event)
        if self._early is None and not self._subscriptions:
            return
        kind = event["type"].partition(".")[0]
        encoded = json.dumps(event, separators=(",", ":")).encode()
        if self._early is not None and len(self._early) < _MAX_EARLY:
            self._early.append((kind, encoded))
        for one in self._subscriptions:
            if kind in one.types and len(one.waiting) < _MAX_WAITING:
                one.waiting.append(encoded)
                one.more.set()

    def extension(self, name: str, state: str, events: tuple[str, ...]) -> None:
        """Say how far an extension is."""
        self._say("platform.extension", {"name": name, "state": state, "events": list(events)})

    def keep(self) -> None:
        """Keep events for those who may subscribe: an init begins."""
        self._early = []

    def began(self) -> None:
        """Keep no more events: the init is over."""
        self._early = None

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Post from now on."""
        self._subscriptions.append(subscription)
        for kind, encoded in self._early or ():
            if kind in subscription.types:
                subscription.waiting.append(encoded)
                subscription.more.set()
        task = asyncio.get_running_loop().create_task(_deliver(subscription))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)
        told = {"name": name, "state": "Subscribed", "types": list(subscription.types)}
        self._say("platform.telemetrySubscription", told)

    async def flush(self, within: float) -> None:
        """Wait until all has been posted, for so many seconds at most; the sandbox must not be frozen."""
        end = asyncio.get_running_loop().time() + within
        while any(one.waiting for one in self._subscriptions) and asyncio.get_running_loop().time() < end:
            for one in self._subscriptions:
                one.seconds = 0.0
                one.more.set()
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Post no more."""
        self._subscriptions.clear()
        self._early = None
        tasks = list(self._posting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _say(self, kind: str, record: Mapping[str, Any]) -> None:
        if self._identity is not None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.put(self._identity, {"time": now, "type": kind, "record": dict(record)})


async def _deliver(one: Subscription) -> None:
    """Post what is gathered: when there is enough of it, or its time has come."""
    while True:
        await one.more.wait()
        end = asyncio.get_running_loop().time() + one.seconds
        while len(one.waiting) < one.items and sum(map(len, one.waiting)) < one.size:
            left = min(end, asyncio.get_running_loop().time() + one.seconds) - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await asyncio.sleep(min(left, 0.05))
        batch = one.waiting[: one.items]
        taken = not batch
        if batch:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                taken = await _post(one, b"[" + b",".join(batch) + b"]")
        if taken:
            del one.waiting[: len(batch)]
        else:
            await asyncio.sleep(_AGAIN)
        if not one.waiting:
            one.more.clear()


async def _post(one: Subscription, body: bytes) -> bool:
    """Return whether the extension took it."""
    reader, writer = await asyncio.open_connection(one.host, one.port)
    try:
        head = (
            f"POST {one.path} HTTP/1.1\r\nHost: sandbox.localdomain:{one.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        status = (await reader.readline()).split()[1:2]
        return bool(status) and status[0].startswith(b"2")
    finally:
        writer.close()
