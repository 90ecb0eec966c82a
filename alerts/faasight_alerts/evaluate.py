"""One rule at one slot: measures its window, and the older one again, and says what each group shows."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from faasight_store.types import Measurement

from faasight_alerts.rule import NoData, Rule
from faasight_alerts.slots import window
from faasight_alerts.state import Look, Seen

Labels = tuple[tuple[str, str], ...]  # sorted pairs, so that they can be a key
Measure = Callable[[str, datetime, datetime, Sequence[str]], Sequence[Measurement]]


class Cache:
    """Measures each window once a tick: the levels of a rule, and rules on the same signal, share it."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._known: dict[tuple[str, datetime, datetime, tuple[str, ...]], dict[Labels, Measurement]] = {}

    def __call__(
        self, signal: str, start: datetime, end: datetime, group_by: tuple[str, ...]
    ) -> dict[Labels, Measurement]:
        """Return the measurements of `[start, end)` by labels. Raises what the store raises."""
        key = (signal, start, end, group_by)
        if key not in self._known:
            self._known[key] = {labels_of(found.labels): found for found in self._measure(*key)}
        return self._known[key]


def labels_of(labels: Mapping[str, str]) -> Labels:
    """Return labels in the form that can be a key."""
    return tuple(sorted(labels.items()))


def evaluate(rule: Rule, slot: int, measure: Cache, awake: Collection[Labels], begun: int = 0) -> dict[Labels, Seen]:
    """Return what each group shows at the slot; `awake` are the groups that are not at rest, which must get an answer.

    Slots before `begun` are not looked at again: nobody watched then, and what was over is no news. Raises what the
    store raises: nothing was seen then, and the slot is to be tried again.
    """
    now = _covered(rule, measure(rule.signal, *window(rule, slot), rule.group_by))
    late = {ago: _breaches(rule, slot - ago * rule.every_s, measure) for ago in _late(rule, slot, begun)}
    groups = set(awake).union(now, *late.values())
    lately: Collection[Labels] | None = None
    if rule.no_data is NoData.ALERT or (rule.no_data is NoData.KEEP and set(awake) - set(now)):
        lately = _seen_lately(rule, slot, measure)
        groups |= set(lately) if rule.no_data is NoData.ALERT else set()
    looks = {}
    for labels in groups:
        seen = _seen(rule, slot, now.get(labels), lately is None or labels in lately)
        looks[labels] = _with_late(seen, {ago: found[labels] for ago, found in late.items() if labels in found})
    return looks


def _late(rule: Rule, slot: int, begun: int) -> list[int]:
    """Return how many slots back to look again. Where slots without data are left out, slots cannot be told apart."""
    if rule.no_data is NoData.KEEP:
        return []
    return [ago for ago in rule.late_slots if slot - ago * rule.every_s >= begun]


def _breaches(rule: Rule, slot: int, measure: Cache) -> dict[Labels, float]:
    found = _covered(rule, measure(rule.signal, *window(rule, slot), rule.group_by))
    return {labels: got.value for labels, got in found.items() if _counts(rule, got) and rule.breach.holds(got.value)}


def _with_late(seen: Seen, late: Mapping[int, float]) -> Seen:
    """Add what came late; its value is the news where the newest window has none."""
    if not late or seen.look is Look.BREACH:
        return replace(seen, late=tuple(late))
    return replace(seen, late=tuple(late), value=late[min(late)])


def _covered(rule: Rule, found: Mapping[Labels, Measurement]) -> dict[Labels, Measurement]:
    return {labels: value for labels, value in found.items() if rule.covers(dict(labels))}


def _seen_lately(rule: Rule, slot: int, measure: Cache) -> Collection[Labels]:
    """Return the groups that ran at all within `forget_after`; the rest has vanished."""
    _, end = window(rule, slot)
    return _covered(rule, measure("invocations", end - timedelta(seconds=rule.forget_s), end, rule.group_by))


def _seen(rule: Rule, slot: int, now: Measurement | None, lately: bool) -> Seen:
    if now is not None and _counts(rule, now):
        return Seen(slot, _look(rule, now.value), now.value)
    reason = "no data" if now is None else f"{now.samples} samples are not what the rule asks for"
    if not lately:
        return Seen(slot, Look.GONE, reason="the group vanished")
    if rule.no_data is NoData.KEEP:
        return Seen(slot, Look.KEEP, reason=reason)
    if rule.no_data is NoData.ALERT:
        return Seen(slot, Look.BREACH, reason=reason)
    return Seen(slot, _look(rule, 0.0), reason=reason)


def _counts(rule: Rule, found: Measurement) -> bool:
    """Tell whether the samples are as many as the rule asks for: a ratio over three invocations is no ratio."""
    return found.samples >= rule.min_samples and (rule.max_samples is None or found.samples <= rule.max_samples)


def _look(rule: Rule, value: float) -> Look:
    if rule.breach.holds(value):
        return Look.BREACH
    return Look.PASS if rule.recovered(value) else Look.BETWEEN
