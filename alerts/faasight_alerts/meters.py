"""What the alerts tell Prometheus of themselves: evaluations, changes, messages, and how long each takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

_PREFIX = "faasight_alerts"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Meters:
    """Counters of one alerts service, in a registry of their own: a process may have several services."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.evaluations = Counter(
            f"{_PREFIX}_evaluations",
            "Slots of rules evaluated, by their end: ok or failed",
            ["rule", "result"],
            registry=self.registry,
        )
        self.evaluation_seconds = Histogram(
            f"{_PREFIX}_evaluation_seconds",
            "How long the evaluation of a slot took, failed ones too",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.changes = Counter(
            f"{_PREFIX}_changes",
            "Changes of alerts that were recorded, by the new state",
            ["state"],
            registry=self.registry,
        )
        self.messages = Counter(
            f"{_PREFIX}_messages",
            "Messages given to a channel, by its answer: sent, later or refused",
            ["channel", "answer"],
            registry=self.registry,
        )
        self.send_seconds = Histogram(
            f"{_PREFIX}_send_seconds",
            "How long a channel took to answer",
            ["channel"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.failed_rounds = Counter(
            f"{_PREFIX}_failed_rounds",
            "Rounds that the store or a fault broke off: evaluate, deliver or tell",
            ["work"],
            registry=self.registry,
        )
        self.last_round = Gauge(
            f"{_PREFIX}_last_round_timestamp_seconds",
            "When rules were last gone through, here or while another led",
            registry=self.registry,
        )
        self.leading = Gauge(
            f"{_PREFIX}_leading", "Whether this process evaluates (1) or stands by (0)", registry=self.registry
        )
        Info(f"{_PREFIX}_build", "What runs here", registry=self.registry).info(
            {"version": version("faasight-platform")}
        )

    @contextmanager
    def evaluating(self, rule: str) -> Iterator[None]:
        """Time the evaluation of a slot, and count how it ends."""
        result = "failed"
        try:
            with self.evaluation_seconds.time():
                yield
            result = "ok"
        finally:
            self.evaluations.labels(rule, result).inc()

    def watch(self, rules: Sequence[str], channels: Sequence[str], failing: Callable[[], Mapping[str, int]]) -> None:
        """Begin all series at zero, or the first fault would be no increase; `failing` counts failures in a row."""
        for rule in rules:
            for result in ("ok", "failed"):
                self.evaluations.labels(rule, result)
        gauge = Gauge(
            f"{_PREFIX}_channel_failures", "Failures in a row of a channel", ["channel"], registry=self.registry
        )
        for channel in channels:
            self.send_seconds.labels(channel)
            gauge.labels(channel).set_function(partial(_failures, failing, channel))


def _failures(failing: Callable[[], Mapping[str, int]], channel: str) -> float:
    return failing().get(channel, 0)
