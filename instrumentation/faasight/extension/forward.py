"""Batches on their way to the collector: kept in memory within a bound, sent by one thread, again until taken."""

from __future__ import annotations

import threading
import time
from collections import deque
from gzip import compress
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DOOR = "/v1/aws/telemetry"
MOST_BYTES = 4 * 1_048_576  # what waits; beyond it AWS is told to keep its batches, and says how many it dropped
_SHORT = 1_024  # not worth compressing
_WAIT = 3.0  # seconds for one exchange
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # after failures in a row, seconds
_LATER = {408, 429, 500, 502, 503, 504}


class Forwarder:
    """Sends batches in order, one request each; the same bytes again if no answer came: the collector knows them."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        self._url = urlsplit(endpoint)
        self._headers = {"Content-Type": "application/json", **headers}
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._hurry = False
        self._connection: HTTPConnection | None = None
        threading.Thread(target=self._run, name="faasight-forwarder", daemon=True).start()

    def take(self, batch: bytes) -> bool:
        """Keep a batch to be sent; False if there is no room."""
        with self._changed:
            if self._waiting and self._bytes + len(batch) > MOST_BYTES:
                return False
            self._waiting.append(batch)
            self._bytes += len(batch)
            self._changed.notify_all()
        return True

    def finish(self, deadline: float) -> bool:
        """Send what is left, without pauses, until `deadline` (time.monotonic); return whether all went."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._waiting, max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                batch = self._waiting[0]
            if self._done_with(batch):
                failures = 0
                with self._changed:
                    self._bytes -= len(self._waiting.popleft())
                    self._changed.notify_all()
                continue
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            failures += 1
            with self._changed:
                self._changed.wait_for(lambda: self._hurry, pause)
            if self._hurry:
                time.sleep(0.05)  # the last two seconds: ask often, but do not spin

    def _done_with(self, batch: bytes) -> bool:
        """Send a batch once; True if it was taken, or will never be."""
        try:
            status, told = self._post(batch)
        except (OSError, HTTPException):
            self._close()
            return False
        if status in _LATER:
            return False
        if status >= 300:
            complaints.say(
                f"the collector refused {len(batch)} bytes with {status}: {told[:200].decode(errors='replace')}"
            )
        return True

    def _post(self, batch: bytes) -> tuple[int, bytes]:
        long = len(batch) >= _SHORT
        headers = {**self._headers, "Content-Encoding": "gzip"} if long else self._headers
        # mtime=0: the collector knows a repeated request by its bytes.
        body = compress(batch, 1, mtime=0) if long else batch
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", f"{self._url.path}{DOOR}", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _connect(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme != "https":
            return HTTPConnection(host, port, timeout=_WAIT)
        from http.client import HTTPSConnection  # ssl costs memory that plain http need not pay

        return HTTPSConnection(host, port, timeout=_WAIT)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
