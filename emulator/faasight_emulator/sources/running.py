"""All event sources of a template at work: made in moto, then polled until the emulator stops."""

import contextlib
from collections.abc import Callable
from typing import Protocol

from faasight_emulator.aws import Clients, making
from faasight_emulator.invocation import Result
from faasight_emulator.model import Function, Place
from faasight_emulator.sources.buckets import BucketDelivery, create_buckets
from faasight_emulator.sources.buses import BusDelivery, create_buses
from faasight_emulator.sources.counting import SourceCounter
from faasight_emulator.sources.inbox import Inbox
from faasight_emulator.sources.model import StreamSource
from faasight_emulator.sources.pushing import Pusher
from faasight_emulator.sources.queues import QueueMapping
from faasight_emulator.sources.resources import Plumbing
from faasight_emulator.sources.streams import StreamMapping
from faasight_emulator.sources.topics import create_topics, topic_inboxes
from faasight_emulator.targets import Targets

Invoke = Callable[[str, bytes], Result]
Warn = Callable[[str], None]


class Worker(Protocol):
    """Something that polls on a thread of its own."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End soon."""

    def join(self, within: float) -> None:
        """Wait for the end, some seconds at most."""


class EventSources:
    """Makes what events come from, and brings them to functions. `invoke` waits for the function."""

    def __init__(
        self,
        functions: tuple[Function, ...],
        pipes: Plumbing,
        place: Place,
        clients: Clients,
        targets: Targets,
        invoke: Invoke,
        warn: Warn,
        up: Callable[[str], bool],
    ) -> None:
        """`up` tells whether a function has a sandbox that has come up."""
        self._functions = functions
        self._pipes = pipes
        self._place = place
        self._clients = clients
        self._targets = targets
        self._invoke = invoke
        self._warn = warn
        self._up = up
        self._workers: list[Worker] = []
        self.counter = SourceCounter()

    def create(self) -> None:
        """Make topics, buckets, buses and streams; services without a resource are not asked. Raises StartError."""
        self._create_topics()
        self._create_buckets()
        self._create_buses()
        self._create_streams()

    def start(self) -> None:
        """Begin to poll."""
        for function in self._functions:
            for source in function.queues:
                sqs = self._clients.get("sqs")
                tally = self.counter.tally(function.name, "queue", source.queue_arn.rsplit(":", 1)[-1])
                mapping = QueueMapping(function, source, self._place, sqs, self._invoke, tally, self._warn, self._up)
                self._workers.append(mapping)
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Poll no more."""
        for worker in self._workers:
            worker.stop()

    def join(self) -> None:
        """Wait for the pollers, two seconds each at most."""
        for worker in self._workers:
            worker.join(2)
        self._workers.clear()

    def _pusher(self, kind: str, name: str) -> Pusher:
        return Pusher(self._targets, self.counter, kind, name)

    def _create_topics(self) -> None:
        pipes = self._pipes
        if pipes.topics:
            create_topics(self._clients, self._place, pipes.topics)
            self._workers += topic_inboxes(self._place, self._clients, pipes.subscriptions, self._pusher, self._warn)

    def _create_buckets(self) -> None:
        pipes = self._pipes
        if not pipes.buckets:
            return
        create_buckets(self._clients, self._place, pipes.buckets)
        delivery = BucketDelivery(pipes.notifications, self._pusher)
        inbox = Inbox("buckets", self._place, self._clients.get("sqs"), delivery.handle, self._warn)
        with making("The notifications of the buckets", self._place):
            if pipes.notifications:
                inbox.create()
                self._workers.append(inbox)
            delivery.configure(self._clients.get("s3"), pipes.buckets, inbox.arn)

    def _create_buses(self) -> None:
        pipes = self._pipes
        if pipes.buses:
            create_buses(self._clients.get("events"), self._place, pipes.buses)
        for bus in sorted({rule.bus for rule in pipes.rules}):
            rules = [rule for rule in pipes.rules if rule.bus == bus]
            delivery = BusDelivery(bus, rules, self._place, self._pusher("bus", bus), self._warn)
            inbox = Inbox(f"bus-{bus}", self._place, self._clients.get("sqs"), delivery.handle, self._warn)
            with making(f"The rules of the bus '{bus}'", self._place):
                inbox.create()
                delivery.tap(self._clients.get("events"), inbox.arn)
            self._workers.append(inbox)

    def _create_streams(self) -> None:
        for stream in self._pipes.streams:
            kinesis = self._clients.get("kinesis")
            in_use = kinesis.exceptions.ResourceInUseException
            with making(f"The stream '{stream.name}'", self._place), contextlib.suppress(in_use):
                kinesis.create_stream(StreamName=stream.name, ShardCount=stream.shards)
        for function in self._functions:
            for source in function.sources:
                if isinstance(source, StreamSource):
                    kind = "table" if source.kind == "dynamodb" else "stream"
                    tally = self.counter.tally(function.name, kind, source.name)
                    mapping = StreamMapping(
                        function, source, self._place, self._clients, self._targets, self._invoke, tally, self._warn
                    )
                    with making(f"The mapping of '{function.name}' from {source.label}", self._place):
                        mapping.open()
                    self._workers.append(mapping)
