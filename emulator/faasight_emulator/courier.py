"""Carries platform events to the collector: a thread that batches, posts and retries; no function waits for it."""

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from faasight_emulator.platform import PATH, Event, Identity

MAX_WAITING = 32 * 1024 * 1024  # bytes of events held while the collector is away; then the oldest go
MAX_BATCH = 1024 * 1024  # bytes a post, as the Telemetry API's largest buffer
_INTERVAL = 0.1
_BACKOFF = (0.25, 5.0)
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class CourierCounts:
    """What became of the events: delivered, dropped for want of room, refused by the collector as wrong."""

    delivered: int = 0
    dropped: int = 0
    refused: int = 0


class Courier:
    """Posts events to the collector, by whose they are. `put` may be called from any thread and returns at once."""

    def __init__(self, collector: str, warn: Callable[[str], None] = lambda _: None) -> None:
        self._url = urlsplit(collector.rstrip("/"))
        self._root = self._url.path
        self._warn = warn
        self._waiting: dict[Identity, deque[bytes]] = {}
        self._batch: tuple[Identity, list[bytes]] | None = None  # taken off, not yet answered for
        self._bytes = 0
        self._lost: dict[Identity, tuple[int, int]] = {}
        self._delivered = self._dropped = self._refused = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._end: float | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="telemetry-courier", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self, within: float) -> None:
        """Deliver what is left, for `within` seconds at most, and end."""
        self._end = time.monotonic() + within
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(within + _TIMEOUT)

    def put(self, identity: Identity, event: Event) -> None:
        """Take one event; when the room is full the oldest is dropped and the loss told by platform.logsDropped."""
        encoded = json.dumps(event, separators=(",", ":")).encode()
        with self._lock:
            self._append(identity, encoded)
            while self._bytes > MAX_WAITING:
                lost = next(iter(self._waiting))
                old = self._pop(lost)
                records, size = self._lost.get(lost, (0, 0))
                self._lost[lost] = (records + 1, size + len(old))
                self._dropped += 1

    def counts(self) -> CourierCounts:
        """Return what became of the events so far."""
        with self._lock:
            return CourierCounts(self._delivered, self._dropped, self._refused)

    def _run(self) -> None:
        pause = _INTERVAL
        told = False
        while True:
            self._wake.wait(pause)
            try:
                while self._deliver_one():
                    pass
                pause, told = _INTERVAL, False
            except (OSError, http.client.HTTPException) as error:
                self._close()
                pause = min(max(pause * 2, _BACKOFF[0]), _BACKOFF[1])
                if not told and self._end is None:
                    self._warn(f"The collector at {self._url.netloc} takes no telemetry ({error}); trying on.")
                    told = True
            if self._end is not None:
                with self._lock:
                    empty = not self._waiting and self._batch is None
                if empty or time.monotonic() > self._end:
                    self._close()
                    return
                time.sleep(0.05)  # the wake-up event stays set while stopping

    def _deliver_one(self) -> bool:
        """Post one batch; one that gets no answer is kept and tried again."""
        with self._lock:
            self._tell_losses()
            self._batch = self._batch or self._take_batch()
        if self._batch is None:
            return False
        identity, events = self._batch
        try:
            accepted = self._post(identity, identity.body(events))
        except ValueError as error:  # a name that no header can hold: it would not get better
            self._warn(f"Telemetry of {identity.function} cannot be posted: {error}")
            self._close()
            accepted = False
        with self._lock:
            self._delivered += len(events) if accepted else 0
            self._refused += 0 if accepted else len(events)
            self._batch = None
        return True

    def _take_batch(self) -> tuple[Identity, list[bytes]] | None:
        """Take the oldest events of one sandbox off the queue, up to the size of a post."""
        if not self._waiting:
            return None
        identity = next(iter(self._waiting))
        batch = [self._pop(identity)]
        size = len(batch[0])
        while identity in self._waiting and size + len(self._waiting[identity][0]) <= MAX_BATCH:
            batch.append(self._pop(identity))
            size += len(batch[-1])
        return identity, batch

    def _append(self, identity: Identity, encoded: bytes) -> None:
        self._waiting.setdefault(identity, deque()).append(encoded)
        self._bytes += len(encoded)

    def _pop(self, identity: Identity) -> bytes:
        encoded = self._waiting[identity].popleft()
        self._bytes -= len(encoded)
        if not self._waiting[identity]:
            del self._waiting[identity]
        return encoded

    def _tell_losses(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for identity, (records, size) in self._lost.items():
            if identity.path != PATH:
                continue  # spans have no such word; the count of what was dropped tells
            record = {"reason": "The collector was away", "droppedRecords": records, "droppedBytes": size}
            event = {"time": now, "type": "platform.logsDropped", "record": record}
            self._append(identity, json.dumps(event).encode())
        self._lost.clear()

    def _post(self, identity: Identity, body: bytes) -> bool:
        """Return whether the collector took it; False if it called it wrong. Raises OSError to try again."""
        if self._connection is None:
            secure = self._url.scheme == "https"
            make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self._connection = make(self._url.hostname or "", self._url.port, timeout=_TIMEOUT)
        headers = {"Content-Type": "application/json", **identity.headers()}
        self._connection.request("POST", self._root + identity.path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status == 429 or response.status >= 500:
            raise ConnectionError(f"HTTP {response.status}")
        if response.status >= 300:
            self._warn(f"The collector refused telemetry: HTTP {response.status} {answer[:200]!r}")
        return response.status < 300

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
