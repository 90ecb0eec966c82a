"""The shapes that queries for log patterns, attribute keys and deployments answer with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogPattern:
    """Log lines that differ in numbers, ids and times alone."""

    pattern: int  # as in the column of `logs`
    template: str  # the message, "#" for each word that holds a digit
    lines: int
    levels: Sequence[str]
    functions: Sequence[str]
    first_seen: datetime  # in the scope
    last_seen: datetime
    sample: str


@dataclass(frozen=True, slots=True)
class AttributeKey:
    """An attribute that spans or log lines of the scope have."""

    key: str
    count: int  # rows that have it, on the scope's days
    some: Sequence[str]  # values, sorted


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version of a function that began to run."""

    function: str
    version: str
    previous: str  # the version that ran last before; "" if none is known
    kind: str  # "first" of the function, "new", or "return" to a version that ran before
    at: datetime


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """How one version did, over a time."""

    version: str
    invocations: int
    errors: int
    timeouts: int
    cold_starts: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    init_p95_ms: float | None
    memory_used_mb: float | None  # the largest
    cost_usd: float
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures of a function before and after a moment; None where nothing ran."""

    before: VersionFigures | None
    after: VersionFigures | None
