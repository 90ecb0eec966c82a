"""Records of one shard that wait for a function: filled by the shard's reader, emptied batch by batch."""

import threading
import time
from collections import deque
from collections.abc import Sequence

from faasight_emulator.sources.shards import Record

# Lambda's limit on an event, with room for the envelope.
MAX_BATCH_BYTES = int(6 * 1024 * 1024 * 0.95)


class Lane:
    """A queue of records with a bound, which gives batches of `size` or what a window of seconds has brought."""

    def __init__(self, size: int, window: float) -> None:
        self._size = size
        self._window = window
        self._records: deque[tuple[Record, float]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, records: Sequence[Record]) -> None:
        """Add records; waits while two batches wait already."""
        with self._changed:
            for record in records:
                self._changed.wait_for(lambda: self._closed or len(self._records) < 2 * self._size)
                self._records.append((record, time.monotonic()))
                self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it gives no more."""
        return self._closed

    def take(self, within: float | None = None) -> list[Record]:
        """Wait for a batch and return it; an empty one when the lane has been closed, or nothing came in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._records, within):
                return []
            if self._window and not self._closed:
                end = self._records[0][1] + self._window
                self._changed.wait_for(
                    lambda: self._closed or len(self._records) >= self._size, max(0.0, end - time.monotonic())
                )
            return [] if self._closed else self._batch()

    def close(self) -> None:
        """Give no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _batch(self) -> list[Record]:
        batch: list[Record] = []
        total = 0
        while self._records and len(batch) < self._size:
            total += self._records[0][0].size
            if batch and total > MAX_BATCH_BYTES:
                break
            batch.append(self._records.popleft()[0])
        self._changed.notify_all()
        return batch
