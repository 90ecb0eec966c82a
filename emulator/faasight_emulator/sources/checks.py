"""Keeps what can deliver: a source or a target that is not in the template is left out, with a warning."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from faasight_emulator.model import Function, Place, Queue, Table
from faasight_emulator.sources.model import Notification, Rule, Source, StreamSource, Subscription
from faasight_emulator.sources.resources import Plumbing, function_of

T = TypeVar("T")
Warn = Callable[[str], None]


class Connections:
    """What the template has at the ends of its pipes. Stacks share topics and buckets; those of others are not here."""

    def __init__(
        self,
        place: Place,
        functions: Sequence[Function],
        queues: Sequence[Queue],
        tables: Sequence[Table],
        machines: Sequence[str] = (),
    ) -> None:
        self._place = place
        self._queues = {place.arn("sqs", queue.name) for queue in queues}
        self._functions = {function.name for function in functions}
        self._machines = {place.arn("states", f"stateMachine:{name}") for name in machines}
        self._tables = {table.name for table in tables if "StreamSpecification" in table.definition}

    def connected(self, pipes: Plumbing, warn: Warn) -> Plumbing:
        """Return the pipes whose both ends are there."""
        topics = {self._place.arn("sns", topic.name) for topic in pipes.topics}
        buckets = {bucket.name for bucket in pipes.buckets}
        buses = {"default", *(bus.name for bus in pipes.buses)}
        bus_arns = {self._place.arn("events", f"event-bus/{bus}") for bus in buses}
        ends = topics | self._queues | self._machines | bus_arns

        def there(arn: str) -> bool:
            return arn in ends or function_of(arn) in self._functions

        def subscription(one: Subscription) -> str:
            return _missing((one.topic_arn in topics, one.topic_arn), (there(one.target), one.target))

        def notification(one: Notification) -> str:
            return _missing((one.bucket in buckets, one.bucket), (there(one.target), one.target))

        def rule(one: Rule) -> str:
            targets = ((there(target.arn), target.arn) for target in one.targets)
            return _missing((one.bus in buses, one.bus), *targets)

        return replace(
            pipes,
            subscriptions=_kept(pipes.subscriptions, subscription, "a subscription", warn),
            notifications=_kept(pipes.notifications, notification, "a bucket's notification", warn),
            rules=_kept(pipes.rules, rule, "a rule", warn),
        )

    def streaming(self, functions: Sequence[Function], pipes: Plumbing, warn: Warn) -> list[Function]:
        """Return the functions with those mappings whose stream is there."""
        streams = {stream.name for stream in pipes.streams}

        def missing(one: Source) -> str:
            if not isinstance(one, StreamSource):
                return ""
            there = one.name in (streams if one.kind == "kinesis" else self._tables)
            hint = "" if one.kind == "kinesis" else " (or has no StreamSpecification)"
            return _missing((there, f"{one.arn}{hint}"))

        return [
            replace(one, sources=_kept(one.sources, missing, f"a mapping of '{one.name}'", warn)) for one in functions
        ]


def _missing(*ends: tuple[bool, str]) -> str:
    return next((f"'{name}'" for is_there, name in ends if not is_there), "")


def _kept(given: Sequence[T], missing: Callable[[T], str], what: str, warn: Warn) -> tuple[T, ...]:
    kept = []
    for one in given:
        lost = missing(one)
        if lost:
            warn(f"{lost} is not in this template; {what} with it is left out.")
        else:
            kept.append(one)
    return tuple(kept)
