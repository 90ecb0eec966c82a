"""The shapes that metric queries answer with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """A metric as its senders describe it; senders that disagree on kind or unit make several of one name."""

    metric: str
    kind: str  # gauge, sum, histogram, exponential_histogram, summary
    unit: str  # UCUM, as sent: "1", "ms", "By"
    description: str
    temporality: str  # delta, cumulative; "" where it has no meaning
    monotonic: bool
    functions: Sequence[str]
    series: int
    points: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class MetricLabel:
    """A label of a metric: an attribute of its points, of its resource, or `function` and `environment`."""

    key: str
    values: int  # how many there are
    some: Sequence[str]  # the first of them, sorted


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """One series: a metric with its attributes and the resource that sends it."""

    series: int
    function: str
    environment: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]
    points: int
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A line of a chart; `values` has the length of `MetricData.t`, None where nothing was sent."""

    labels: Mapping[str, str]
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class MetricData:
    """A metric over equal buckets, a line for each group of labels, the largest first."""

    metric: str
    kind: str  # "" when there is no such metric in the scope
    unit: str
    aggregation: str
    t: Sequence[datetime]
    step_s: float
    lines: Sequence[MetricLine]
    truncated: bool  # there were more groups than asked for


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A measurement that stands for others, with the trace it was made in."""

    ts: datetime
    value: float
    trace_id: str  # hex or ""
    span_id: str
    attributes: Mapping[str, str]
