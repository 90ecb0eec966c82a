"""Between the state machine and the store: a change becomes a row, and rows become the machine's memory again."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from faasight_store.queries.alerts import AlertChange

from faasight_alerts import units
from faasight_alerts.evaluate import Labels, labels_of
from faasight_alerts.message import Message, page_link
from faasight_alerts.rule import Rule
from faasight_alerts.slots import Progress, instant
from faasight_alerts.state import Change, Instance, Seen, State


@dataclass(frozen=True, slots=True)
class Known:
    """An instance with what it is about, so that it can be told of even when its rule is gone."""

    rule_id: str
    labels: Labels
    instance: Instance
    last: AlertChange | None = None  # None: it never changed, only its history is kept


@dataclass(frozen=True, slots=True)
class Writer:
    """What all changes of one tick have in common."""

    epoch: int
    now: datetime
    url: str
    channels: Sequence[str]

    def row(self, rule: Rule, labels: Labels, seen: Seen, after: Instance, change: Change, seq: int) -> AlertChange:
        """Return the row of a change. Its id follows from the slot: whoever evaluates that again writes the same."""
        instance, names = rule.instance(dict(labels)), dict(labels)
        since = after.since or seen.slot
        return AlertChange(
            id=_id(instance, seen.slot, change.state),
            epoch=self.epoch,
            seq=seq,
            recorded_at=self.now,
            slot=instant(seen.slot),
            instance=instance,
            rule_id=rule.id,
            rule=rule.name,
            severity=rule.severity,
            labels=names,
            state=str(change.state),
            since=instant(since),
            value=seen.value,
            value_text=units.shown(seen.value, rule.signal),
            condition=rule.condition,
            summary=rule.describe(names, seen.value),
            reason=change.reason,
            link=page_link(self.url, names, since, seen.slot),
            # A channel is not told that it fails: it would hear of it when it no longer does.
            channels=tuple(name for name in self.channels if name != names.get("channel")) if change.tell else (),
            memory=remember(after),
        )

    def gone(self, last: AlertChange, seen: Seen, after: Instance, change: Change, seq: int) -> AlertChange:
        """Return the row of an instance whose rule is no more: all that is known of it is its last row."""
        return replace(
            last,
            id=_id(last.instance, seen.slot, change.state),
            epoch=self.epoch,
            seq=seq,
            recorded_at=self.now,
            slot=instant(seen.slot),
            state=str(change.state),
            reason=change.reason,
            channels=tuple(self.channels) if change.tell else (),
            memory=remember(after),
        )


def _id(instance: str, slot: int, state: State) -> str:
    return hashlib.sha256(f"{instance}/{slot}/{state}".encode()).hexdigest()[:20]


def remember(instance: Instance) -> str:
    """Return the machine's memory as text; a history can be longer than any integer column."""
    return json.dumps(asdict(instance))


def recall(text: str) -> Instance:
    """Return the memory that `remember` wrote. Raises ValueError if it did not."""
    try:
        fields = json.loads(text)
        return Instance(**{**fields, "state": State(fields["state"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{text!r} is no memory of an alert") from error


def known(rows: Iterable[AlertChange]) -> dict[str, Known]:
    """Return the instances, by id, as their newest rows left them."""
    return {row.instance: Known(row.rule_id, labels_of(row.labels), recall(row.memory), row) for row in rows}


def message(row: AlertChange) -> Message:
    """Return what is told of a change."""
    return Message(
        id=row.id,
        state="resolved" if row.state == State.RESOLVED else "firing",
        severity=row.severity,
        rule=row.rule,
        labels=row.labels,
        value=row.value_text,
        condition=row.condition,
        summary=row.summary,
        reason=row.reason,
        since=row.since,
        at=row.slot,
        link=row.link,
    )


def checkpoint(progress: Mapping[str, Progress], instances: Mapping[str, Known]) -> str:
    """Return how far each rule came, and the histories that no row of a change holds."""
    kept = {
        id_: {"rule": found.rule_id, "labels": list(found.labels), "memory": remember(found.instance)}
        for id_, found in instances.items()
        if found.instance.history or not found.instance.resting
    }
    return json.dumps({"slots": {rule: [at.begun, at.done] for rule, at in progress.items()}, "instances": kept})


def restore(text: str, instances: Mapping[str, Known]) -> tuple[dict[str, Progress], dict[str, Known]]:
    """Return the progress and instances of a checkpoint, laid over those of the rows where it is the newer one."""
    saved = json.loads(text) if text else {"slots": {}, "instances": {}}
    merged = dict(instances)
    for id_, kept in saved["instances"].items():
        memory = recall(kept["memory"])
        row = merged.get(id_)
        if row is None or memory.slot > row.instance.slot:
            labels = tuple((name, value) for name, value in kept["labels"])
            merged[id_] = Known(kept["rule"], labels, memory, row.last if row else None)
    return {rule: Progress(*slots) for rule, slots in saved["slots"].items()}, merged
