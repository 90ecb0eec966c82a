"""The alerts service: one thread evaluates, another sends, so that a slow channel delays no evaluation."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from faasight_store.cache import Cache
from faasight_store.connection import Store
from faasight_store.queries import signals
from faasight_store.types import Measurement
from prometheus_client import CollectorRegistry

from faasight_alerts import rulefile
from faasight_alerts.blind import Blind
from faasight_alerts.channels.channel import Channel
from faasight_alerts.channels.slack import SlackWebhook
from faasight_alerts.evaluate import Measure
from faasight_alerts.evaluator import Evaluator
from faasight_alerts.lease import Lease, this_process
from faasight_alerts.meters import Meters
from faasight_alerts.outbox import Outbox
from faasight_alerts.rule import Rule

log = structlog.get_logger("faasight.alerts")

_STOP_S = 4.0
_SHARED_S = 2.0  # how long a window that was measured for one rule is as good for another


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the alerts service can be told."""

    url: str = "http://127.0.0.1:8050"  # of the pages, for the links in messages; "" for none
    rules: Path | None = None  # a rule file in place of the built-in rules
    slack_webhook: str | None = field(default=None, repr=False)  # a secret
    interval_s: float = 10.0  # how often due slots are looked for
    lease_s: float = 45.0  # another evaluator takes over after so long a silence
    slack_timeout_s: int = 10
    holder: str = ""  # of the lease; "" is this host and process


class Alerts:
    """Evaluates the rules against a store and tells the channels.

    `measure`, `clock` and `jitter` are passed in by tests. Raises RuleError or ValueError if the settings are wrong.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        measure: Measure | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.rules = _rules(settings)
        channels = _channels(settings)
        names = [channel.name for channel in channels]
        self._meters = Meters()
        self._evaluator = Evaluator(
            store, self.rules, measure or _measure(store, self.rules), settings.url, names, self._meters
        )
        self._outbox = Outbox(store, channels, jitter, self._meters)
        self._meters.watch([rule.id for rule in self.rules], names, lambda: self._outbox.failing)
        self._blind = Blind(self._outbox)
        self._lease = Lease(store, settings.holder or this_process(), settings.lease_s)
        self._epoch = 0  # whose state the evaluator holds
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def metrics(self) -> CollectorRegistry:
        """What it tells Prometheus of itself."""
        return self._meters.registry

    def start(self) -> None:
        """Begin to evaluate and send, each on a thread."""
        self._stopping.clear()
        for name, work in (("evaluator", self._evaluate_always), ("sender", self._send_always)):
            thread = threading.Thread(target=work, name=f"faasight-alerts-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        log.info("alerts run", rules=len(self.rules), channels=list(self._outbox.destinations))

    def stop(self) -> None:
        """End within 5 s. What is not sent stays queued in the store."""
        self._stopping.set()
        self._changed.set()
        for thread in self._threads:
            thread.join(_STOP_S / len(self._threads))
        self._threads.clear()
        self._guarded("give back", "the lease cannot be given back", self._lease.give_back)

    def tick(self, now: datetime) -> int:
        """Evaluate what is due, then send what is due; return the number of changes. Raises what the store raises."""
        changes = self.evaluate(now)
        self.deliver(now)
        return changes

    def evaluate(self, now: datetime) -> int:
        """Evaluate what is due, if no other evaluator does; return the number of changes."""
        lease = self._lease.take(now)
        self._meters.leading.set(lease is not None)
        if lease is None:
            self._epoch = 0
            return 0
        if lease.epoch != self._epoch:
            self._evaluator.load(lease, now)
            self._epoch = lease.epoch
        changes = self._evaluator.run(lease.epoch, now, self._outbox.failing, self._stopping.is_set)
        self._lease.renew(now, self._evaluator.checkpoint)
        return changes

    def deliver(self, now: datetime) -> int:
        """Send what is queued and due, if the lease is ours; return how many messages went out."""
        return self._outbox.deliver(now) if self._lease.epoch else 0

    def _evaluate_always(self) -> None:
        while not self._stopping.is_set():
            done = self._guarded("evaluate", "the rules cannot be evaluated now", lambda: self.evaluate(self._clock()))
            if done:
                self._meters.last_round.set(self._clock().timestamp())
            self._guarded("tell", "people cannot be told", partial(self._blind.note, done, self._clock()))
            self._changed.set()
            self._stopping.wait(self._settings.interval_s)

    def _send_always(self) -> None:
        while not self._stopping.is_set():
            self._guarded("deliver", "messages cannot be read or recorded now", lambda: self.deliver(self._clock()))
            self._changed.wait(self._outbox.wait_s(self._clock(), self._settings.interval_s))
            self._changed.clear()

    def _guarded(self, name: str, what: str, work: Callable[[], object]) -> bool:
        """Run one round and tell whether it went well: a fault is logged, and the next round tries again."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the service outlives every fault of the store
            log.error(what, error=str(error))
            self._meters.failed_rounds.labels(name).inc()
            return False
        return True


def _rules(settings: Settings) -> tuple[Rule, ...]:
    names = tuple(signals.SIGNALS)
    return rulefile.load(settings.rules, names) if settings.rules else rulefile.default_rules(names)


def _channels(settings: Settings) -> list[Channel]:
    return [SlackWebhook(settings.slack_webhook, settings.slack_timeout_s)] if settings.slack_webhook else []


def _measure(store: Store, rules: Sequence[Rule]) -> Measure:
    """Return what measures a window: all signals that rules ask of windows of its length, of one read."""
    asked: dict[tuple[float, tuple[str, ...]], set[str]] = {}
    for rule in rules:
        asked.setdefault((rule.window_s, tuple(rule.group_by)), set()).add(rule.signal)
    cache = Cache(capacity=64)

    def measure(signal: str, start: datetime, end: datetime, group_by: Sequence[str]) -> Sequence[Measurement]:
        key = ((end - start).total_seconds(), tuple(group_by))
        names = tuple(sorted({signal} | asked.get(key, set())))
        return cache.get(
            (names, start, end, key), lambda: signals.measure_all(store, names, start, end, group_by), _SHARED_S
        )[signal]

    return measure
