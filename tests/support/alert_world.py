"""A world to try alerts in: a store with invocations, rules over them, and evaluators that come and go."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from faasight_alerts import Alerts, Settings
from faasight_store import Scope, Store, StoreUnavailableError
from faasight_store.queries import alerts as stored
from faasight_store.queries import signals
from faasight_store.types import AlertEvent, Measurement
from otlp import Run, records

ERRORS = """
  - name: errors
    signal: error_rate
    levels: {critical: "> 10 %"}
    window: 60s
    every: 30s
    delay: 10s
    late: 2m
    for: 30s
    min_samples: 5
    keep_firing_for: 60s
    summary: "{function} fails: {value}"
"""
THROTTLES = """
  - name: throttles
    signal: throttles
    levels: {warning: "> 0"}
    window: 60s
    every: 30s
    delay: 10s
    late: 0
    keep_firing_for: 0
"""
# A whole minute, long enough ago that no invocation of a test lies in the future.
START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)


@dataclass
class World:
    """A store with invocations in it, and evaluators that come and go."""

    store: Store
    slack_url: str
    folder: Path
    measure: Any = None
    services: list[Alerts] = field(default_factory=list)

    def invoke(self, *seconds: float, count: int = 10, failed: int = 0, function: str = "checkout") -> None:
        """Land finished invocations that began so many seconds after START: `count` of them at each."""
        runs = [
            Run(
                int((START.timestamp() + second) * 1e9) + number,
                function=function,
                outcome="error" if number < failed else "ok",
                error_type="ValueError" if number < failed else "",
            )
            for second in seconds
            for number in range(count)
        ]
        self._land(records(*(run.record("report") for run in runs)))

    def throttle(self, second: float, count: int, function: str = "checkout") -> None:
        """Land calls that were turned away."""
        runs = [Run(int((START.timestamp() + second) * 1e9) + number, function=function) for number in range(count)]
        self._land(records(*(run.record("throttle") for run in runs)))

    def _land(self, lines: bytes) -> None:
        self.store.land("records", lines, secrets.token_hex(8))

    def alerts(self, rules: str = ERRORS, **changed: Any) -> Alerts:
        """Return an evaluator, as a process that starts."""
        path = self.folder / f"rules-{len(self.services)}.yaml"
        path.write_text(f"rules:{rules}", encoding="utf-8")
        plain: dict[str, Any] = {"url": "http://faasight.test", "rules": path, "slack_webhook": self.slack_url}
        plain |= {"slack_timeout_s": 1, "holder": f"process-{len(self.services)}"}
        service = Alerts(
            Settings(**(plain | changed)), self.store, measure=self.measure or self.real_measure, jitter=lambda: 1.0
        )
        self.services.append(service)
        return service

    def real_measure(self, signal: str, start: datetime, end: datetime, group_by: Sequence[str]) -> list[Measurement]:
        """Ask the store itself."""
        return signals.measure(self.store, signal, start, end, group_by)

    def states(self) -> dict[str, str]:
        """Return what is not at rest: "rule function" -> state."""
        return {f"{one.rule} {one.labels.get('function', '')}".strip(): one.state for one in stored.active(self.store)}

    def history(self) -> list[AlertEvent]:
        """Return all changes, oldest first."""
        return stored.history(self.store, Scope(START - timedelta(hours=1), START + timedelta(hours=9)))[::-1]

    def deliveries(self, rule: str, state: str) -> list[str]:
        """Return what became of the messages about a rule's changes to a state."""
        return [event.delivery for event in self.history() if (event.rule, event.state) == (rule, state)]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def walk(service: Alerts, first: int, last: int, step: int = 30) -> None:
    """Tick at each slot from one second to another, both included."""
    for second in range(first, last + 1, step):
        service.tick(at(second))


def burst(world: World) -> None:
    """Put half a minute of failures into a function's life: they show at 90 s, hold at 120 s, are over at 150 s."""
    world.invoke(*range(0, 50, 10), *range(80, 300, 10))
    world.invoke(50, 60, 70, failed=8)


def unavailable(*_: object, **__: object) -> None:
    """Stand in for a call to a store that is away."""
    raise StoreUnavailableError("the server at 127.0.0.1 does not answer")
