"""The state machine of one alert instance: a pure function from what was and what was seen to what is.

    normal -> pending -> firing -> recovering -> normal (told as "resolved")

A breach is counted in a history of bits, one a slot, so that `for`, "M of N" and late data are one thing: an instance
fires as soon as any N slots in a row hold M breaches. A second look at an old window may set a bit, never clear one.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from faasight_alerts.rule import Rule


class State(StrEnum):
    """Where an instance stands. `RESOLVED` and `NORMAL` are both at rest; the first comes from firing."""

    NORMAL = "normal"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    RESOLVED = "resolved"


class Look(StrEnum):
    """What a window showed."""

    BREACH = "breach"
    BETWEEN = "between"  # no breach, and not past the recovery limit either
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    KEEP = "keep"  # nothing known: leave all as it is
    GONE = "gone"  # the group, or its rule, is no more


@dataclass(frozen=True, slots=True)
class Seen:
    """One slot's look at one group. `slot` is in seconds since the epoch."""

    slot: int
    look: Look
    value: float = 0.0
    late: tuple[int, ...] = ()  # so many slots ago a window held a breach, as is now seen
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """What is remembered of an instance. Times are slots, in seconds since the epoch."""

    state: State = State.NORMAL
    since: int = 0  # when it entered pending, or firing
    slot: int = 0  # the newest slot seen
    history: int = 0  # bit i: the slot i before the newest one held a breach
    floor: int = 0  # slots up to here are settled: late data cannot raise them again
    recovering: int = 0  # since when it has passed
    told: int = 0  # when people were last told that it fires; 0: they do not know

    @property
    def resting(self) -> bool:
        """Whether nothing is wrong."""
        return self.state in {State.NORMAL, State.RESOLVED}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state. `tell` is True where people must hear of it."""

    state: State
    reason: str
    tell: bool = False


STILL = "still firing"  # the reason of a message that is no change


def step(rule: Rule, before: Instance, seen: Seen) -> tuple[Instance, Change | None]:
    """Return the instance after one slot, and the change if there is one. A slot already seen changes nothing."""
    if seen.slot <= before.slot:
        return before, None
    if seen.look is Look.KEEP:
        return replace(before, slot=seen.slot), None
    if seen.look is Look.GONE:
        return settle(before, seen)
    now = replace(before, slot=seen.slot, history=_remember(rule, before, seen))
    if now.resting or now.state is State.PENDING:
        return _rise(rule, now, seen)
    return _fall(rule, now, seen)


def _remember(rule: Rule, before: Instance, seen: Seen) -> int:
    """Shift the history to the new slot and write what was seen. Slots without a look hold no breach."""
    length = rule.of + max(rule.late_slots, default=0)
    shift = min((seen.slot - before.slot) // rule.every_s, length)
    history = before.history << shift | (seen.look is Look.BREACH)
    for ago in seen.late:
        if seen.slot - ago * rule.every_s > before.floor:
            history |= 1 << ago
    return history & ((1 << length) - 1)


def _rise(rule: Rule, now: Instance, seen: Seen) -> tuple[Instance, Change | None]:
    offsets = range(max(seen.late, default=0) + 1)
    mask = (1 << rule.of) - 1
    held = next((i for i in offsets if (now.history >> i & mask).bit_count() >= rule.needed), None)
    if held is not None:
        reason = "late data" if held else seen.reason or _held(rule)
        fired = replace(now, state=State.FIRING, since=seen.slot, told=seen.slot, recovering=0)
        return fired, Change(State.FIRING, reason, tell=True)
    # After this many passes in a row the breaches before them can no longer count.
    hopeful = now.history & ((1 << (rule.of - rule.needed + 1)) - 1)
    if now.state is State.PENDING:
        if hopeful:
            return now, None
        return replace(now, state=State.NORMAL, since=0), Change(State.NORMAL, seen.reason or "passed")
    if hopeful:
        return replace(now, state=State.PENDING, since=seen.slot), Change(State.PENDING, seen.reason or "breach")
    return now, None


def _held(rule: Rule) -> str:
    return "breach" if rule.of == 1 else f"{rule.needed} breaches in {rule.of} slots"


def _fall(rule: Rule, now: Instance, seen: Seen) -> tuple[Instance, Change | None]:
    if seen.look is not Look.PASS:
        if now.state is State.RECOVERING:
            return replace(now, state=State.FIRING, recovering=0), Change(State.FIRING, "breach again")
        if not now.told or (rule.repeat_s and seen.slot - now.told >= rule.repeat_s):
            return replace(now, told=seen.slot), Change(State.FIRING, STILL, tell=True)
        return now, None
    passing = now if now.state is State.RECOVERING else replace(now, state=State.RECOVERING, recovering=seen.slot)
    if seen.slot - passing.recovering >= rule.keep_firing_s:
        return settle(passing, seen)
    if now.state is State.RECOVERING:
        return now, None
    return passing, Change(State.RECOVERING, seen.reason or "passed")


def settle(before: Instance, seen: Seen) -> tuple[Instance, Change | None]:
    """Return the instance at rest, whatever it was; only what people were told of is told as resolved."""
    rest = Instance(slot=seen.slot, floor=seen.slot)
    if before.resting:
        return replace(rest, state=before.state), None
    reason = seen.reason or "passed"
    if before.state is State.PENDING:
        return rest, Change(State.NORMAL, reason)
    return replace(rest, state=State.RESOLVED), Change(State.RESOLVED, reason, tell=before.told > 0)
