"""Reads the resources that events come from: topics, buses, rules, buckets, streams, and mappings by themselves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from faasight_emulator.functions import schedule_source
from faasight_emulator.model import Function, Place, QueueSource, ScheduleSource
from faasight_emulator.section import Section
from faasight_emulator.sources.model import Bucket, Bus, Notification, Rule, Source, Stream, Subscription, Topic
from faasight_emulator.sources.read import (
    bus_name,
    notification,
    pattern_of,
    queue_source,
    stream_source,
    subscription_attributes,
    target_of,
    with_target,
)
from faasight_emulator.states.definition import StateMachine

TOPIC = "AWS::SNS::Topic"
SUBSCRIPTION = "AWS::SNS::Subscription"
BUS = "AWS::Events::EventBus"
RULE = "AWS::Events::Rule"
BUCKET = "AWS::S3::Bucket"
STREAM = "AWS::Kinesis::Stream"
MAPPING = "AWS::Lambda::EventSourceMapping"
SCHEDULE = "AWS::Scheduler::Schedule"

# Which property holds the name; mappings and subscriptions have none.
NAME_PROPERTY = {TOPIC: "TopicName", BUS: "Name", RULE: "Name", BUCKET: "BucketName", STREAM: "Name", SCHEDULE: "Name"}
KINDS = (*NAME_PROPERTY, SUBSCRIPTION, MAPPING)
_TARGETS = ("lambda", "sqs")  # protocols of subscriptions


def references(kind: str, name: str, place: Place) -> tuple[str, dict[str, str]]:
    """Return what !Ref gives of a resource of one of these kinds, and its attributes for !GetAtt."""
    if kind == TOPIC:
        arn = place.arn("sns", name)
        return arn, {"TopicArn": arn, "TopicName": name}
    if kind == BUCKET:
        host = f"{name}.s3.amazonaws.com"
        return name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": host, "RegionalDomainName": host}
    arns = {
        BUS: place.arn("events", f"event-bus/{name}"),
        RULE: place.arn("events", f"rule/{name}"),
        STREAM: place.arn("kinesis", f"stream/{name}"),
        SCHEDULE: place.arn("scheduler", f"schedule/default/{name}"),
    }
    return name, {"Arn": arns[kind], "Name": name} if kind in arns else {}


@dataclass(frozen=True, slots=True)
class Plumbing:
    """What events run through: the resources, and who gets what from whom. Streams' mappings stay with functions."""

    topics: tuple[Topic, ...] = ()
    buses: tuple[Bus, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    streams: tuple[Stream, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    rules: tuple[Rule, ...] = ()
    notifications: tuple[Notification, ...] = ()

    def pushing_to(self, function: str) -> list[str]:
        """Return what sends to a function, in words: `topic news`, `bucket uploads`, `bus default`."""
        pipes = [(f"topic {one.topic_arn.rsplit(':', 1)[-1]}", one.target) for one in self.subscriptions]
        pipes += [(f"bucket {one.bucket}", one.target) for one in self.notifications]
        pipes += [(f"bus {one.bus}", target.arn) for one in self.rules for target in one.targets]
        return list(dict.fromkeys(label for label, target in pipes if function_of(target) == function))


def function_of(arn: str) -> str:
    """Return the name of the function that an ARN names, with a qualifier or without; empty for other ARNs."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 and parts[2] == "lambda" else ""


class PlumbingReader:
    """Reads a template's resources one by one, then `finish`es with what SAM attaches to functions."""

    def __init__(self, place: Place, warn: Callable[[Section, str, str], None]) -> None:
        self._place = place
        self._warn = warn
        self._made: list[Topic | Bus | Bucket | Stream | Source] = []
        self._mappings: list[tuple[Section, str, Source | QueueSource]] = []
        self._schedules: list[tuple[Section, str, ScheduleSource]] = []  # with the ARN of what they start

    def read(self, kind: str, logical_id: str, name: str, properties: Section) -> None:
        """Read one resource of `KINDS`. Raises TemplateError."""
        readers: dict[str, Callable[[str, str, Section], None]] = {
            TOPIC: self._topic,
            BUS: lambda logical_id, name, _: self._made.append(Bus(logical_id, name)),
            RULE: lambda _, name, section: self._rule(name, section),
            BUCKET: self._bucket,
            STREAM: self._stream,
            SCHEDULE: lambda _, name, section: self._schedule(name, section, section.section("Target"), "scheduler"),
            SUBSCRIPTION: lambda _id, _name, section: self._subscription(section.text("TopicArn"), section),
            MAPPING: lambda _id, _name, section: self._mapping(section),
        }
        readers[kind](logical_id, name, properties)

    def finish(self, functions: list[Function]) -> tuple[list[Function], Plumbing]:
        """Return the functions, with the mappings that are resources of their own, and all the rest."""
        names = {function.name for function in functions}
        for section, wanted, _ in self._mappings:
            if not {wanted.split(":")[0], function_of(wanted)} & names:
                self._warn(section, "FunctionName", f"there is no function '{wanted}'; the mapping is left out.")
        functions = [self._with_schedules(self._with_mappings(function)) for function in functions]
        attached = [
            with_target(source, function.arn(self._place)) for function in functions for source in function.sources
        ]
        made = [*self._made, *attached]
        return functions, Plumbing(
            topics=tuple(one for one in made if isinstance(one, Topic)),
            buses=tuple(one for one in made if isinstance(one, Bus)),
            buckets=tuple(one for one in made if isinstance(one, Bucket)),
            streams=tuple(one for one in made if isinstance(one, Stream)),
            subscriptions=tuple(one for one in made if isinstance(one, Subscription)),
            rules=tuple(one for one in made if isinstance(one, Rule)),
            notifications=tuple(one for one in made if isinstance(one, Notification)),
        )

    def _topic(self, logical_id: str, name: str, properties: Section) -> None:
        flags = ("FifoTopic", "ContentBasedDeduplication")
        self._made.append(Topic(logical_id, name, {key: "true" for key in flags if properties.flag(key, False)}))
        for one in properties.sections("Subscription"):
            self._subscription(self._place.arn("sns", name), one)

    def _subscription(self, topic_arn: str, properties: Section) -> None:
        protocol = properties.text("Protocol")
        if protocol not in _TARGETS:
            self._warn(
                properties, "Protocol", f"subscriptions by {protocol} are not emulated (but lambda and sqs are)."
            )
            return
        attributes = subscription_attributes(properties)
        self._made.append(Subscription(topic_arn, properties.text("Endpoint"), attributes))

    def _bucket(self, logical_id: str, name: str, properties: Section) -> None:
        wanted = properties.section("NotificationConfiguration")
        bridge = "EventBridgeConfiguration" in wanted
        bridge = bridge and wanted.section("EventBridgeConfiguration").flag("EventBridgeEnabled", True)
        versioned = properties.section("VersioningConfiguration").text("Status", "Suspended") == "Enabled"
        self._made.append(Bucket(logical_id, name, bridge, versioned))
        for key, target in (("Lambda", "Function"), ("Queue", "Queue"), ("Topic", "Topic")):
            for one in wanted.sections(f"{key}Configurations"):
                self._made.append(notification(one, name, one.text(target), "Event"))

    def _stream(self, logical_id: str, name: str, properties: Section) -> None:
        on_demand = properties.section("StreamModeDetails").text("StreamMode", "PROVISIONED") == "ON_DEMAND"
        # One with no provisioned shards begins with four on AWS.
        shards = properties.integer("ShardCount", 4 if on_demand else 1, 1, 200)
        self._made.append(Stream(logical_id, name, shards))

    def _rule(self, name: str, properties: Section) -> None:
        if properties.text("State", "ENABLED").upper() == "DISABLED":
            return
        if "ScheduleExpression" in properties:
            for one in properties.sections("Targets"):
                self._schedule(name, properties, one, "events")
        if "EventPattern" not in properties:
            return
        targets = tuple(target_of(one, one.text("Arn")) for one in properties.sections("Targets"))
        pattern = pattern_of(properties, "EventPattern", properties.value("EventPattern"))
        self._made.append(Rule(name, bus_name(properties.text("EventBusName", "default")), pattern, targets))

    def _schedule(
        self, name: str, properties: Section, target: Section, service: Literal["events", "scheduler"]
    ) -> None:
        arn = target.text("Arn")
        source = schedule_source(name, properties, "ScheduleExpression")
        if source is None:
            return
        if not arn.startswith(("arn:aws:lambda:", "arn:aws:states:")):
            self._warn(target, "Arn", "schedules start functions and state machines here, and nothing else.")
            return
        self._schedules.append(
            (target, arn, replace(source, name=name, input=target.json_text("Input"), service=service))
        )

    def with_schedules(self, machines: list[StateMachine]) -> list[StateMachine]:
        """Return the state machines, with the schedules that are resources of their own."""
        return [
            replace(one, schedules=(*one.schedules, *self._of(self._place.arn("states", f"stateMachine:{one.name}"))))
            for one in machines
        ]

    def _with_schedules(self, function: Function) -> Function:
        own = self._of(self._place.arn("lambda", f"function:{function.name}"))
        return replace(function, schedules=(*function.schedules, *own))

    def _of(self, arn: str) -> list[ScheduleSource]:
        return [source for _, wanted, source in self._schedules if f"{wanted}:".startswith(f"{arn}:")]

    def _mapping(self, properties: Section) -> None:
        queue = ":sqs:" in properties.text("EventSourceArn")
        source = (queue_source if queue else stream_source)(properties, "EventSourceArn")
        if source is not None:
            self._mappings.append((properties, properties.text("FunctionName"), source))

    def _with_mappings(self, function: Function) -> Function:
        for _, wanted, source in self._mappings:
            if function.name not in (wanted.split(":")[0], function_of(wanted)):
                continue
            if isinstance(source, QueueSource):
                function = replace(function, queues=(*function.queues, source))
            else:
                function = replace(function, sources=(*function.sources, source))
        return function
