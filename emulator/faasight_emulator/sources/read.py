"""Reads the event sources of functions: their SAM events, and mappings that are resources of their own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from faasight_emulator.document import Value
from faasight_emulator.invocation import Json
from faasight_emulator.model import QueueSource
from faasight_emulator.section import Section
from faasight_emulator.sources.model import (
    Notification,
    Rule,
    Source,
    StartingPosition,
    StreamSource,
    Subscription,
    Target,
)
from faasight_emulator.sources.patterns import check_pattern
from faasight_emulator.sources.transform import Input, check_path

_POSITIONS: dict[str, StartingPosition] = {
    "TRIM_HORIZON": "TRIM_HORIZON",
    "LATEST": "LATEST",
    "AT_TIMESTAMP": "AT_TIMESTAMP",
}
_WEEK = 604_800  # seconds
# What S3 can tell of; any of them may end in `*`.
_BUCKET_EVENTS = ("s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:ObjectTagging:", "s3:ObjectAcl:", "s3:ObjectRestore:")

Read = Callable[[str, Section], Source | QueueSource | None]


def queue_source(properties: Section, key: str = "Queue") -> QueueSource | None:
    """Return the mapping of an SQS event, None if it is switched off. Raises TemplateError."""
    if not properties.flag("Enabled", True):
        return None
    window = properties.integer("MaximumBatchingWindowInSeconds", 0, 0, 300)
    size = properties.integer("BatchSize", 10, 1, 10_000)
    if size > 10 and window == 0:
        raise properties.error(
            "BatchSize", f"is {size}; over 10 AWS needs MaximumBatchingWindowInSeconds of at least 1."
        )
    if size > 10 and properties.text(key).endswith(".fifo"):
        raise properties.error("BatchSize", f"is {size}; of a FIFO queue AWS takes at most 10.")
    return QueueSource(
        queue_arn=properties.text(key),
        batch_size=size,
        window=window,
        partial_failures="ReportBatchItemFailures" in properties.items("FunctionResponseTypes"),
        concurrency=properties.section("ScalingConfig").optional_integer("MaximumConcurrency", 2, 1000),
        filters=_filters(properties),
    )


def stream_source(properties: Section, key: str = "Stream") -> StreamSource | None:
    """Return the mapping of a Kinesis or DynamoDB event, None if it is switched off. Raises TemplateError."""
    if not properties.flag("Enabled", True):
        return None
    arn = properties.text(key)
    if len(arn.split(":")) < 6 or "/" not in arn or arn.split(":")[2] not in ("kinesis", "dynamodb"):
        raise properties.error(key, f"is '{arn}'; must be an ARN: !GetAtt Stream.Arn or !GetAtt Table.StreamArn.")
    position = properties.text("StartingPosition")
    known = [one for one in _POSITIONS if one != "AT_TIMESTAMP" or ":kinesis:" in arn]
    if position not in known:
        raise properties.error("StartingPosition", f"is '{position}'; must be one of {', '.join(known)}.")
    return StreamSource(
        arn=arn,
        position=_POSITIONS[position],
        timestamp=_timestamp(properties) if position == "AT_TIMESTAMP" else None,
        batch_size=properties.integer("BatchSize", 100, 1, 10_000),
        window=properties.integer("MaximumBatchingWindowInSeconds", 0, 0, 300),
        bisect=properties.flag("BisectBatchOnFunctionError", False),
        retries=properties.integer("MaximumRetryAttempts", -1, -1, 10_000),
        maximum_age=_maximum_age(properties),
        parallel=properties.integer("ParallelizationFactor", 1, 1, 10),
        partial_failures="ReportBatchItemFailures" in properties.items("FunctionResponseTypes"),
        on_failure=properties.section("DestinationConfig").section("OnFailure").optional_text("Destination"),
        tumbling=properties.integer("TumblingWindowInSeconds", 0, 0, 900),
        filters=_filters(properties),
    )


def _maximum_age(properties: Section) -> int:
    age = properties.integer("MaximumRecordAgeInSeconds", -1, -1, _WEEK)
    if -1 < age < 60:
        raise properties.error("MaximumRecordAgeInSeconds", f"is {age}; must be -1 or from 60 to {_WEEK}.")
    return age


def _timestamp(properties: Section) -> float:
    given = properties.value("StartingPositionTimestamp")
    try:
        return float(given) if not isinstance(given, datetime) else given.timestamp()
    except (TypeError, ValueError) as error:
        raise properties.error(
            "StartingPositionTimestamp", "must be seconds since 1970; AT_TIMESTAMP needs it."
        ) from error


def _filters(properties: Section) -> tuple[Mapping[str, Json], ...]:
    criteria = properties.section("FilterCriteria")
    found = []
    for one in criteria.items("Filters"):
        pattern = one.get("Pattern") if isinstance(one, dict) else None
        found.append(pattern_of(criteria, "Filters", pattern))
    return tuple(found)


def pattern_of(section: Section, key: str, given: Value) -> Mapping[str, Json]:
    """Return an event pattern from a mapping or its JSON text. Raises TemplateError."""
    try:
        pattern = json.loads(given) if isinstance(given, str) else given
    except ValueError as error:
        raise section.error(key, f"a pattern is not JSON ({error}); correct it.") from error
    problem = check_pattern(pattern)
    if problem:
        raise section.error(key, problem)
    return dict(pattern)


def topic_source(properties: Section) -> Subscription:
    """Return the subscription of an SNS event, or of an AWS::SNS::Subscription. Raises TemplateError."""
    if properties.value("SqsSubscription") not in (None, False, "false"):
        raise properties.error(
            "SqsSubscription", "is not emulated; add the queue, an AWS::SNS::Subscription and an SQS event."
        )
    arn = properties.text("Topic" if "Topic" in properties else "TopicArn")
    return Subscription(arn, "", subscription_attributes(properties))


def subscription_attributes(properties: Section) -> dict[str, str]:
    """Return Subscribe's attributes. Raises TemplateError."""
    attributes = {}
    policy = properties.value("FilterPolicy")
    if policy is not None:
        attributes["FilterPolicy"] = policy if isinstance(policy, str) else json.dumps(policy)
        attributes["FilterPolicyScope"] = properties.text("FilterPolicyScope", "MessageAttributes")
    if properties.flag("RawMessageDelivery", False):
        attributes["RawMessageDelivery"] = "true"
    return attributes


def bucket_source(properties: Section) -> Notification:
    """Return the notification of an S3 event. Raises TemplateError."""
    return notification(properties, properties.text("Bucket"), "", "Events")


def notification(properties: Section, bucket: str, target: str, key: str) -> Notification:
    """Return one configuration of a bucket's notifications; `key` holds the event or events. Raises TemplateError."""
    given = properties.value(key)
    events = [str(one) for one in (given if isinstance(given, list) else [given])]
    for event in events:
        if not event.startswith(_BUCKET_EVENTS):
            raise properties.error(key, f"is '{event}'; must begin with one of {', '.join(_BUCKET_EVENTS)}")
    rules = properties.section("Filter").section("S3Key").items("Rules")
    filters = {str(one.get("Name")).lower(): str(one.get("Value", "")) for one in rules if isinstance(one, dict)}
    if not filters.keys() <= {"prefix", "suffix"}:
        raise properties.error("Filter", "a rule's Name must be prefix or suffix.")
    return Notification(bucket, target, tuple(events), filters.get("prefix", ""), filters.get("suffix", ""))


def rule_source(name: str, properties: Section) -> Rule | None:
    """Return the rule of an EventBridgeRule (or CloudWatchEvent) event, None if it is switched off."""
    if properties.text("State", "ENABLED").upper() == "DISABLED" or not properties.flag("Enabled", True):
        return None
    return Rule(
        properties.text("RuleName", name),
        bus_name(properties.text("EventBusName", "default")),
        pattern_of(properties, "Pattern", properties.value("Pattern")),
        (target_of(properties, ""),),
    )


def bus_name(given: str) -> str:
    """Return the name of a bus from its name or its ARN."""
    return given.rsplit("event-bus/", 1)[-1]


def target_of(properties: Section, arn: str) -> Target:
    """Return a rule's target. Raises TemplateError."""
    constant = properties.json_text("Input")
    transformer = properties.section("InputTransformer")
    paths_map = transformer.section("InputPathsMap")
    paths = {name: paths_map.text(name) for name in paths_map}
    path = properties.optional_text("InputPath")
    for one in (*paths.values(), *([path] if path else [])):
        if not check_path(one):
            raise properties.error("", f"the path '{one}' cannot be followed; must be as $.detail.items[0].id.")
    template = transformer.optional_text("InputTemplate")
    return Target(
        arn,
        Input(constant, path, template, paths),
        properties.section("SqsParameters").text("MessageGroupId", ""),
        properties.section("DeadLetterConfig").optional_text("Arn"),
    )


# By SAM's type of event.
READERS: Mapping[str, Read] = {
    "SQS": lambda _, properties: queue_source(properties),
    "Kinesis": lambda _, properties: stream_source(properties),
    "DynamoDB": lambda _, properties: stream_source(properties),
    "SNS": lambda _, properties: topic_source(properties),
    "S3": lambda _, properties: bucket_source(properties),
    "EventBridgeRule": rule_source,
    "CloudWatchEvent": rule_source,
}


def with_target(source: Source, arn: str) -> Source:
    """Return a source that SAM attaches to a function, sent to that function's ARN."""
    if isinstance(source, Rule):
        return replace(source, targets=tuple(replace(one, arn=arn) for one in source.targets))
    return source if isinstance(source, StreamSource) else replace(source, target=arn)
