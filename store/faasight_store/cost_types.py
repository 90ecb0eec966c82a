"""The shapes that cost queries answer with. All money is USD by list prices (prices.json)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one function, version, trigger, source, architecture or environment cost."""

    key: str
    invocations: int
    gb_seconds: float
    cost_usd: float
    share: float  # of the whole, 0 to 1

    @property
    def per_million_usd(self) -> float:
        """What a million invocations cost at this rate."""
        return self.cost_usd / self.invocations * 1e6 if self.invocations else 0.0


@dataclass(frozen=True, slots=True)
class FlowCost:
    """What a business flow cost: all invocations of the traces that begin alike."""

    service: str  # of the root span
    name: str
    traces: int
    invocations: int
    cost_usd: float

    @property
    def per_trace_usd(self) -> float:
        """What one run through the flow cost."""
        return self.cost_usd / self.traces if self.traces else 0.0


@dataclass(frozen=True, slots=True)
class TraceCost:
    """What one trace cost."""

    trace_id: str
    service: str
    name: str
    invocations: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """A month's cost: what was spent, and what it comes to if the last days go on."""

    month: date  # its first day
    so_far_usd: float
    forecast_usd: float
    per_day_usd: float  # mean of the days that the forecast goes by
    based_on_days: float  # at most 7, so that each day of the week counts once
    days: Sequence[float]  # USD of each day of the month until now


@dataclass(frozen=True, slots=True)
class RightSize:
    """A function's memory against what it uses. AWS alone: elsewhere one pays for what was used, or for CPU with it."""

    function: str
    memory_mb: int
    used_p99_mb: float
    recommended_mb: int
    invocations: int
    cost_usd: float
    saving_usd: float  # in the scope, if runs take as long as now; negative where more memory is needed
    tight: bool  # p99 is above nine tenths of what is given
