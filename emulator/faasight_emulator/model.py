"""What a template says, as frozen data: functions, their event sources, APIs, queues and tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from faasight_emulator.sources.model import Source

from faasight_emulator.authorization import OPEN, Authorization
from faasight_emulator.cors import Cors


@dataclass(frozen=True, slots=True)
class Place:
    """Where the emulated application lives: what CloudFormation's pseudo parameters and endpoints say."""

    region: str = "us-east-1"
    account: str = "123456789012"  # moto's account
    stack: str = "faasight-local"
    aws_endpoint: str = "http://127.0.0.1:5000"
    gateway: str = "http://127.0.0.1:3000"
    urls: Mapping[str, str] = field(default_factory=dict)  # of functions that have one, by their logical id

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this place."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Route:
    """One path of an API that calls a function.

    `method` is upper case or ANY; `path` is `/a/{b}/{c+}` or $default. `scopes` are those of which a JWT needs one.
    """

    api: str
    method: str
    path: str
    payload: Literal["1.0", "2.0"]
    authorizer: str = ""  # its name, or NONE; empty: the API's default
    scopes: tuple[str, ...] = ()
    wait: bool = False  # of a state machine: whether the answer is that of the execution


@dataclass(frozen=True, slots=True)
class QueueSource:
    """An event source mapping from a queue. `window` is in seconds; `concurrency` None means no limit of its own."""

    queue_arn: str
    batch_size: int = 10
    window: int = 0
    partial_failures: bool = False
    concurrency: int | None = None
    filters: tuple[Mapping[str, Any], ...] = ()  # event patterns, of which one must match


@dataclass(frozen=True, slots=True)
class ScheduleSource:
    """A rule of EventBridge (`events`) or EventBridge Scheduler (`scheduler`). `input` is JSON text or None."""

    name: str
    expression: str
    input: str | None = None
    service: Literal["events", "scheduler"] = "events"


@dataclass(frozen=True, slots=True)
class AsyncPolicy:
    """What becomes of asynchronous invocations that fail. Targets are ARNs of queues or functions."""

    retries: int = 2
    maximum_age: int = 21_600  # seconds
    dead_letter: str | None = None
    on_success: str | None = None
    on_failure: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """A function's own address. With `signed` only requests with a signature are taken (it is not verified)."""

    signed: bool = False
    cors: Cors | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function. `memory` is in MB (of 1,048,576 bytes), `timeout` in seconds."""

    logical_id: str
    name: str
    handler: str
    code: Path
    runtime: str
    memory: int = 128
    timeout: int = 3
    version: str = "$LATEST"
    alias: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[Path, ...] = ()
    architecture: str = "x86_64"
    reserved: int | None = None
    provisioned: int = 0
    tracing: bool = False
    log_format: str = ""
    log_level: str = ""
    routes: tuple[Route, ...] = ()
    queues: tuple[QueueSource, ...] = ()
    schedules: tuple[ScheduleSource, ...] = ()
    sources: tuple["Source", ...] = ()
    asynchronous: AsyncPolicy = AsyncPolicy()
    url: FunctionUrl | None = None

    def arn(self, place: Place) -> str:
        """Return the ARN that the function is invoked by: with its alias or its version if it has one."""
        qualifier = self.alias or (self.version if self.version != "$LATEST" else "")
        return place.arn("lambda", f"function:{self.name}{f':{qualifier}' if qualifier else ''}")


@dataclass(frozen=True, slots=True)
class Api:
    """An HTTP API (payload 2.0), a REST API (payload 1.0) or a function URL (payload 2.0).

    `name` is what the functions see as its id.
    """

    logical_id: str
    name: str
    kind: Literal["http", "rest", "url"]
    stage: str
    authorization: Authorization = OPEN
    cors: Cors | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue. `attributes` are CreateQueue's; `redrive` is (ARN of the dead-letter queue, maximum receives)."""

    logical_id: str
    name: str
    visibility_timeout: int = 30
    redrive: tuple[str, int] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table; `definition` holds CreateTable's arguments but for the name."""

    logical_id: str
    name: str
    definition: Mapping[str, Any]


def kebab(logical_id: str) -> str:
    """Return `OrderQueue` as `order-queue`: the name of a resource that has been given none."""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3-\2\4", logical_id)
    return re.sub(r"[^a-z0-9-]+", "-", spaced.lower())
