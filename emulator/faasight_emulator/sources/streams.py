"""Event source mappings from Kinesis and DynamoDB streams: shards read in order, batches retried, split, given up.

Each shard has a reader, and a lane with a worker for each batch that may run at once (ParallelizationFactor). Within a
lane a batch that fails holds up all that come after it, until it succeeds or is given up: so Lambda keeps order.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.aws import Clients
from faasight_emulator.errors import EmulatorError, TooManyRequestsError
from faasight_emulator.invocation import Result
from faasight_emulator.model import Function, Place
from faasight_emulator.sources.batch_answers import failed_items
from faasight_emulator.sources.counting import Tally
from faasight_emulator.sources.failures import Condition, discard_record
from faasight_emulator.sources.filters import kinesis_view, passes
from faasight_emulator.sources.lanes import Lane
from faasight_emulator.sources.model import StreamSource
from faasight_emulator.sources.shards import Record, Shard, open_shards, split
from faasight_emulator.sources.tumbling import Window, by_window
from faasight_emulator.targets import Targets

_POLL_SECONDS = 0.5  # Lambda asks Kinesis once a second, DynamoDB four times
_LATE_SECONDS = 2 * _POLL_SECONDS  # after a window's end, in which records of it may still come
_RETRY_DELAYS = (0.2, 10.0)  # from, doubled up to

Invoke = Callable[[str, bytes], Result]


class StreamMapping:
    """Feeds one function from one stream. `invoke` waits for the function, and raises TooManyRequestsError."""

    def __init__(
        self,
        function: Function,
        source: StreamSource,
        place: Place,
        clients: Clients,
        targets: Targets,
        invoke: Invoke,
        tally: Tally,
        warn: Callable[[str], None],
    ) -> None:
        self._function = function
        self._source = source
        self._place = place
        self._clients = clients
        self._targets = targets
        self._invoke = invoke
        self._tally = tally
        self._warn = warn
        self._id = uuid.uuid4()  # of the mapping, as AWS gives it one
        self._stop = threading.Event()
        self._shards: list[Shard] = []
        self._lanes: list[Lane] = []
        self._threads: list[threading.Thread] = []

    def open(self) -> None:
        """Take the starting position in every shard. Raises ClientError, BotoCoreError."""
        self._shards = open_shards(self._source, self._place, self._clients)

    def start(self) -> None:
        """Begin to read."""
        for shard in self._shards:
            lanes = [Lane(self._source.batch_size, self._source.window) for _ in range(self._source.parallel)]
            self._lanes += lanes
            self._begin(self._read, shard, lanes)
            for lane in lanes:
                self._begin(self._work, shard, lane)

    def stop(self) -> None:
        """Read no more; what is in work is not waited for."""
        self._stop.set()
        for lane in self._lanes:
            lane.close()

    def join(self, within: float) -> None:
        """Wait for the threads to end."""
        end = time.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _begin(self, work: Callable[..., None], *args: object) -> None:
        name = f"stream-{self._function.name}"
        thread = threading.Thread(target=work, args=args, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _read(self, shard: Shard, lanes: Sequence[Lane]) -> None:
        while not self._stop.is_set():
            try:
                records = shard.read()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the shard must still be read
                if not self._stop.is_set():
                    self._warn(f"Warning: {self._function.name}: a stream cannot be read ({error}); trying again.")
                records = []
            if not records:
                self._stop.wait(_POLL_SECONDS)
                continue
            self._tally.add(received=len(records))
            wanted = [one for one in records if self._wants(one)]
            self._tally.add(filtered=len(records) - len(wanted))
            for lane, its in zip(lanes, split(wanted, len(lanes)), strict=True):
                lane.put(its)

    def _wants(self, record: Record) -> bool:
        patterns = self._source.filters
        if self._source.kind == "kinesis":
            return not patterns or passes(patterns, kinesis_view(record.event), "data")
        return passes(patterns, record.event)

    def _work(self, shard: Shard, lane: Lane) -> None:
        if self._source.tumbling:
            self._aggregate(shard, lane)
            return
        while batch := lane.take():
            self._settle(shard, batch)

    def _aggregate(self, shard: Shard, lane: Lane) -> None:
        """Work window by window; each ends with an invocation of its own, when its time is over or the next begins."""
        window: Window | None = None
        while not lane.closed:
            # Of a stream with much to catch up on the windows are long over; what waits for them is not.
            left = None if window is None else max(0.0, window.end - time.time()) + _LATE_SECONDS
            batch = lane.take(left)
            if not batch and window is not None and not lane.closed:
                self._end(window)
                window = None
            for start, records in by_window(batch, self._source.tumbling):
                if window is not None and start != window.start:
                    self._end(window)
                    window = None
                window = window or Window(start, self._source.tumbling, shard)
                self._settle(shard, records, window)
                if window.early:
                    self._end(window)
                    window = None

    def _end(self, window: Window) -> None:
        """Bring a window's state to the function for the last time, as often as its retries allow."""
        attempts = 0
        while not self._stop.is_set():
            result = self._try([], attempts, window, final=True)
            if result is None:
                continue
            attempts += 1
            if result.ok or 0 <= self._source.retries < attempts:
                return
            self._stop.wait(_delay(attempts))

    def _settle(self, shard: Shard, batch: list[Record], window: Window | None = None) -> None:
        try:
            self._process(shard, batch, window)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the records after these must still come
            self._tally.add(discarded=len(batch))
            self._warn(f"Warning: {self._function.name}: {len(batch)} records were given up ({error}).")

    def _process(self, shard: Shard, batch: list[Record], window: Window | None = None) -> None:
        """Bring a batch to its end: processed, or given up. Halves are processed one after the other."""
        attempts = 0
        result: Result | None = None
        while batch and not self._stop.is_set():
            batch = self._without_old(shard, batch, result, attempts)
            if not batch:
                return
            result = self._try(batch, attempts, window)
            if result is None:
                continue  # throttled: the batch may be too old by now
            attempts += 1
            left = self._left(batch, result)
            self._tally.add(processed=len(batch) - len(left), failed=len(left))
            if len(left) < len(batch):
                batch, attempts = left, 0  # it got on: what is left has all its retries
            elif self._source.bisect and len(batch) > 1:
                middle = (len(batch) + 1) // 2
                self._process(shard, batch[:middle], window)
                batch, attempts = batch[middle:], 0
            elif 0 <= self._source.retries < attempts:
                self._give_up(shard, batch, "RetryAttemptsExhausted", result, attempts)
                return
            else:
                self._stop.wait(_delay(attempts))

    def _try(
        self, batch: Sequence[Record], attempts: int, window: Window | None = None, *, final: bool = False
    ) -> Result | None:
        more = window.event(final=final) if window is not None else {}
        event = orjson.dumps({"Records": [record.event for record in batch], **more})
        try:
            result = self._invoke(self._function.name, event)
        except TooManyRequestsError:
            self._tally.add(throttles=1)
            self._stop.wait(_delay(1))
            return None
        except EmulatorError as error:  # it did not run: as a rule the emulator is being stopped
            if not self._stop.wait(_delay(1)):
                self._warn(
                    f"Warning: {self._function.name}: a batch of its stream did not run ({error}); trying again."
                )
            return None
        self._tally.add(batches=1, retries=attempts > 0)
        if window is not None and result.ok:
            window.take(result.payload)
        return result

    def _left(self, batch: list[Record], result: Result) -> list[Record]:
        """Return the records that are not done: all, none, or those from the first that the function names."""
        if not result.ok:
            return batch
        if not self._source.partial_failures:
            return []
        failed = failed_items(result.payload, [record.sequence for record in batch])
        first = next((index for index, record in enumerate(batch) if record.sequence in failed), len(batch))
        return batch[first:]

    def _without_old(self, shard: Shard, batch: list[Record], result: Result | None, attempts: int) -> list[Record]:
        if self._source.maximum_age < 0:
            return batch
        oldest = time.time() - self._source.maximum_age
        old = [record for record in batch if record.arrival < oldest]
        if old:
            self._give_up(shard, old, "RecordAgeExceeded", result, attempts)
        return [record for record in batch if record.arrival >= oldest]

    def _give_up(
        self, shard: Shard, records: Sequence[Record], condition: Condition, result: Result | None, attempts: int
    ) -> None:
        self._tally.add(discarded=len(records))
        target = self._source.on_failure
        if target is None:
            return
        whole = ":s3:" in target  # there is no limit of size there
        told = discard_record(self._function, self._place, shard, records, condition, result, attempts, whole=whole)
        try:
            folder = f"aws/lambda/{self._id}/{shard.id}"
            self._targets.send(target, told, folder=folder)
        except (BotoCoreError, ClientError, EmulatorError) as error:
            self._warn(f"Warning: {self._function.name}: {target} could not be told of lost records ({error}).")


def _delay(attempts: int) -> float:
    first, longest = _RETRY_DELAYS
    return float(min(longest, first * 2 ** min(attempts - 1, 10)))
