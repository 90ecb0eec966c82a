"""What a template says of event sources, as frozen data: topics, buses, buckets, streams, and who listens to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from faasight_emulator.invocation import Json
from faasight_emulator.sources.transform import Input

StartingPosition = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic. `attributes` are CreateTopic's."""

    logical_id: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Brings a topic's messages to a function or a queue. `attributes` are Subscribe's, as the filter policy."""

    topic_arn: str
    target: str  # ARN
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bus:
    """An event bus of EventBridge; the one named `default` is always there."""

    logical_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rule sends to, and what. `group` is the message group of a FIFO queue; `dead_letter` a queue's ARN."""

    arn: str
    input: Input = field(default_factory=Input)
    group: str = ""
    dead_letter: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a bus: events that match the pattern go to the targets."""

    name: str
    bus: str
    pattern: Mapping[str, Json]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket; `bridge` is whether its events go to the default bus too."""

    logical_id: str
    name: str
    bridge: bool = False
    versioned: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """Brings a bucket's events (`s3:ObjectCreated:*`) of keys with this prefix and suffix to an ARN."""

    bucket: str
    target: str
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """A Kinesis data stream."""

    logical_id: str
    name: str
    shards: int = 1


@dataclass(frozen=True, slots=True)
class StreamSource:
    """An event source mapping from a Kinesis stream or a DynamoDB table's stream.

    `window` and `tumbling` are in seconds; `retries` and `maximum_age` (seconds) of -1 have no end. `filters` are event
    patterns of which one must match.
    """

    arn: str
    position: StartingPosition
    batch_size: int = 100
    window: int = 0
    timestamp: float | None = None
    bisect: bool = False
    retries: int = -1
    maximum_age: int = -1
    parallel: int = 1
    partial_failures: bool = False
    on_failure: str | None = None
    tumbling: int = 0
    filters: tuple[Mapping[str, Json], ...] = ()

    @property
    def kind(self) -> Literal["kinesis", "dynamodb"]:
        """The service that the stream belongs to."""
        return "dynamodb" if self.arn.split(":")[2] == "dynamodb" else "kinesis"

    @property
    def name(self) -> str:
        """The stream's or the table's name."""
        return self.arn.split(":")[5].split("/")[1]

    @property
    def label(self) -> str:
        """What it reads, in words: `stream clicks`, `table orders`."""
        return f"{'table' if self.kind == 'dynamodb' else 'stream'} {self.name}"


# What functions subscribe to; the target of those that SAM attaches to a function is the function.
Source = Subscription | Rule | Notification | StreamSource
