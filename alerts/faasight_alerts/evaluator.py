"""Walks all rules through their due slots and writes what changed; between two ticks it remembers all instances."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from faasight_store.connection import Store
from faasight_store.queries import alerts as stored
from faasight_store.queries.alerts import AlertChange, AlertLease
from opentelemetry import trace

from faasight_alerts import record, slots
from faasight_alerts.evaluate import Cache, Labels, Measure, evaluate, labels_of
from faasight_alerts.meters import Meters
from faasight_alerts.own import CHANNEL_FAILING, MOST_FAILURES, OWN_RULES, RULE_FAILING
from faasight_alerts.record import Known, Writer
from faasight_alerts.rule import Rule
from faasight_alerts.slots import Progress
from faasight_alerts.state import STILL, Change, Instance, Look, Seen, State, settle, step

log = structlog.get_logger("faasight.alerts")
_tracer = trace.get_tracer("faasight.alerts")  # of the SDK that the command sets up, if it does

_SLOTS_A_TICK = 20  # of one rule: catching up must not keep the lease from being renewed


class _Draft:
    """The state as it will be once its rows are stored; thrown away if they are not."""

    def __init__(self, progress: Mapping[str, Progress], instances: Mapping[str, Known], writer: Writer) -> None:
        self.progress = dict(progress)
        self.instances = dict(instances)
        self.rows: list[AlertChange] = []
        self._writer = writer

    def awake(self, rule_id: str) -> list[Labels]:
        """Return the groups of a rule that are not at rest."""
        found = (known for known in self.instances.values() if known.rule_id == rule_id)
        return [known.labels for known in found if not known.instance.resting]

    def see(self, rule: Rule, labels: Labels, seen: Seen) -> None:
        """Take one group one slot further."""
        id_ = rule.instance(dict(labels))
        known = self.instances.get(id_)
        after, change = step(rule, known.instance if known else Instance(), seen)
        if change and change.tell and change.state is State.FIRING and self._told_graver(rule, labels):
            after = replace(after, told=0)
            change = None if change.reason == STILL else Change(change.state, "a more severe level tells of it")
        row = known.last if known else None
        if change:
            row = self._writer.row(rule, labels, seen, after, change, len(self.rows))
            self.rows.append(row)
        settled = seen.slot - max(rule.late_slots, default=0) * rule.every_s > after.floor
        if after.resting and not after.history and settled:
            self.instances.pop(id_, None)  # nothing to remember
        else:
            self.instances[id_] = Known(rule.id, labels, after, row)

    def _told_graver(self, rule: Rule, labels: Labels) -> bool:
        """Tell whether people know of worse: then this level tells nothing until that is over."""
        found = (self.instances.get(id_) for id_ in rule.graver(dict(labels)))
        return any(known is not None and not _quiet(known.instance) for known in found)

    def drop(self, id_: str, known: Known, seen: Seen) -> None:
        """End an instance that no rule looks after any more."""
        after, change = settle(known.instance, seen)
        if change and known.last:
            self.rows.append(self._writer.gone(known.last, seen, after, change, len(self.rows)))
        self.instances.pop(id_)


def _quiet(instance: Instance) -> bool:
    return instance.state not in {State.FIRING, State.RECOVERING}


class Evaluator:
    """Evaluates rules against a store. `failing` counts the failures in a row of each rule."""

    def __init__(
        self,
        store: Store,
        rules: Sequence[Rule],
        measure: Measure,
        url: str,
        channels: Sequence[str],
        meters: Meters | None = None,
    ) -> None:
        self._store = store
        self._rules = rules
        self._measure = measure
        self._url = url
        self._channels = channels
        self._progress: dict[str, Progress] = {}
        self._instances: dict[str, Known] = {}
        self._meters = meters or Meters()
        self.failing: dict[str, int] = {}

    def load(self, lease: AlertLease, now: datetime) -> None:
        """Take over where the last evaluator stood. Raises what the store raises."""
        instances = record.known(stored.latest(self._store, now))
        self._progress, self._instances = record.restore(lease.checkpoint, instances)

    @property
    def checkpoint(self) -> str:
        """What the next evaluator must know beyond the stored changes."""
        return record.checkpoint(self._progress, self._instances)

    def run(self, epoch: int, now: datetime, refusing: Mapping[str, int], stopping: Callable[[], bool]) -> int:
        """Evaluate what is due and store what changed; return how many changes there were.

        `refusing` counts the failures in a row of each channel. Raises what the store raises on writing, and then
        nothing has changed here either.
        """
        draft = _Draft(self._progress, self._instances, Writer(epoch, now, self._url, self._channels))
        measure = Cache(self._measure)
        for rule in self._rules:
            if stopping():
                break
            self._evaluate(rule, draft, measure, now)
        self._look_at_ourselves(draft, now, refusing)
        self._tidy(draft, now)
        stored.append(self._store, draft.rows)
        self._progress, self._instances = draft.progress, draft.instances
        for row in draft.rows:
            self._meters.changes.labels(row.state).inc()
        return len(draft.rows)

    def _evaluate(self, rule: Rule, draft: _Draft, measure: Cache, now: datetime) -> None:
        progress = draft.progress.get(rule.id)
        due = slots.due(rule, progress, now)[:_SLOTS_A_TICK]
        begun = progress.begun if progress else due[0]
        for slot in due:
            try:
                with (
                    self._meters.evaluating(rule.id),
                    _tracer.start_as_current_span("evaluate", attributes={"faasight.rule": rule.id}),
                ):
                    looks = evaluate(rule, slot, measure, draft.awake(rule.id), begun)
            except Exception as error:  # noqa: BLE001 - one rule must not stop the others; the slot is tried again
                self.failing[rule.id] = self.failing.get(rule.id, 0) + 1
                log.warning("rule cannot be evaluated", rule=rule.id, failures=self.failing[rule.id], error=str(error))
                return
            for labels, seen in sorted(looks.items()):
                draft.see(rule, labels, seen)
            draft.progress[rule.id] = Progress(begun, slot)
        self.failing.pop(rule.id, None)

    def _look_at_ourselves(self, draft: _Draft, now: datetime, refusing: Mapping[str, int]) -> None:
        for rule, label, failures in ((RULE_FAILING, "rule", self.failing), (CHANNEL_FAILING, "channel", refusing)):
            groups = {labels_of({label: name}): count for name, count in failures.items()}
            for labels in {**dict.fromkeys(draft.awake(rule.id), 0), **groups}:
                count = groups.get(labels, 0)
                look = Look.BREACH if count >= MOST_FAILURES else Look.KEEP if count else Look.PASS
                draft.see(rule, labels, Seen(int(now.timestamp()), look, count))

    def _tidy(self, draft: _Draft, now: datetime) -> None:
        """Resolve what no rule looks after, and forget what has long been at rest."""
        ours = {rule.id for rule in self._rules} | set(OWN_RULES)
        at = int(now.timestamp())
        for id_, known in list(draft.instances.items()):
            if known.rule_id not in ours:
                draft.drop(id_, known, Seen(at, Look.GONE, reason="the rule is deleted or paused"))
            elif known.instance.resting and at - known.instance.slot > slots.MOST_MISSED_S:
                draft.instances.pop(id_)
