"""The state machine: its ways by example, and what must hold for every way by property."""

from dataclasses import replace

import pytest
from faasight_alerts.record import recall, remember
from faasight_alerts.rule import Condition, Rule
from faasight_alerts.state import Change, Instance, Look, Seen, State, step
from hypothesis import given
from hypothesis import strategies as st

START = 1_000_000 * 60
RULE = Rule("errors", "warning", "errors", Condition(">", 0), every_s=60, late_s=(120,), keep_firing_s=120)
LOOKS = {"B": Look.BREACH, "b": Look.BETWEEN, "-": Look.PASS, ".": Look.KEEP, "x": Look.GONE, "L": Look.PASS}
SHORT = {State.NORMAL: "n", State.PENDING: "p", State.FIRING: "F", State.RECOVERING: "r", State.RESOLVED: "n"}


def run(rule: Rule, looks: str, instance: Instance | None = None) -> tuple[str, list[Change], Instance]:
    """Walk a string of looks, a slot each ("L": passes, but the older window breached); return states and changes."""
    instance, states, changes = instance or Instance(), "", list[Change]()
    first = max(START, instance.slot + rule.every_s)
    for number, letter in enumerate(looks):
        seen = Seen(first + number * rule.every_s, LOOKS[letter], late=rule.late_slots if letter == "L" else ())
        instance, change = step(rule, instance, seen)
        states += SHORT[instance.state]
        changes += [change] if change else []
    return states, changes, instance


def told(changes: list[Change]) -> list[str]:
    return [str(change.state) for change in changes if change.tell]


@pytest.mark.parametrize(
    ("needed", "of", "looks", "states"),
    [
        (1, 1, "-B---", "nFrrn"),  # `for: 0` fires at once, and resolves after keep_firing_for
        (3, 3, "BB-BBB", "ppnppF"),  # one pass ends a pending
        (3, 3, "BBB-B---", "ppFrFrrn"),  # a new breach goes back to firing
        (3, 3, "BBBb-b---", "ppFFrFrrn"),  # above the recovery limit is not recovered
        (3, 5, "B-B-B", "ppppF"),  # M of N forgives passes
        (3, 5, "B---B-B-B", "pppnppppF"),
        (2, 3, "B--B", "ppnp"),
        (3, 3, "BB.B", "pppF"),  # knowing nothing neither ends nor advances a pending
        (1, 1, "B...-.--", "FFFFrrnn"),
        (1, 1, "Bx", "Fn"),
        (3, 3, "Bx", "pn"),
    ],
)
def test_ways_through_the_machine(needed: int, of: int, looks: str, states: str) -> None:
    assert run(replace(RULE, needed=needed, of=of), looks)[0] == states


def test_a_pending_clears_silently_and_an_alert_is_told_once_and_then_resolved() -> None:
    assert told(run(replace(RULE, needed=3, of=3), "BB-")[1]) == []
    _, changes, _ = run(replace(RULE, needed=2, of=2), "BBBB-BB---B")
    assert told(changes) == ["firing", "resolved"]
    assert changes[-2].reason == "passed"


def test_without_keep_firing_it_resolves_at_the_first_pass() -> None:
    assert run(replace(RULE, keep_firing_s=0), "B-B-")[0] == "FnFn"


def test_it_is_told_again_after_the_repeat_interval() -> None:
    _, changes, _ = run(replace(RULE, repeat_s=180), "BBBBBBBB")
    assert [change.reason for change in changes if change.tell] == ["breach", "still firing", "still firing"]


def test_late_data_raises_and_says_so() -> None:
    """The window two slots back, looked at again, has a breach that had not arrived in time."""
    states, changes, _ = run(RULE, "---L--")
    assert states == "nnnFrr"
    assert changes[0].reason == "late data"


def test_late_data_fills_the_gap_in_a_run() -> None:
    """Breach, (late breach), breach are three in a row as soon as the late one is known."""
    states, changes, _ = run(replace(RULE, needed=3, of=3), "B-B" + "L")
    assert states[-1] == "F"
    assert changes[-1].reason == "late data"


def test_late_data_does_not_raise_again_what_was_resolved() -> None:
    """The windows of an incident still hold its breaches when they are looked at again; that is no new incident."""
    rule = replace(RULE, keep_firing_s=0)
    assert run(rule, "B-LL---")[0] == "Fnnnnnn"


looks = st.text("Bb-.Lx", max_size=60)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    needed = draw(st.integers(1, 5))
    keep_firing_s = draw(st.sampled_from([0, 60, 300]))
    late_s = draw(st.sampled_from([(), (60,), (240,), (60, 240)]))
    of = needed + draw(st.integers(0, 4))
    return replace(RULE, needed=needed, of=of, keep_firing_s=keep_firing_s, late_s=late_s)


@given(rules(), looks)
def test_firing_and_resolved_are_told_in_turn(rule: Rule, seen: str) -> None:
    """Never a resolve of what was not told, never a second firing before the resolve."""
    expected = ["firing", "resolved"] * len(seen)
    names = told(run(rule, seen)[1])
    assert names == expected[: len(names)]


@given(rules(), looks)
def test_an_alert_is_told_exactly_while_the_machine_is_awake(rule: Rule, seen: str) -> None:
    _, changes, instance = run(rule, seen)
    open_alert = len(told(changes)) % 2 == 1
    assert open_alert == (instance.state in {State.FIRING, State.RECOVERING})


@given(rules(), st.text("B-", max_size=60))
def test_it_fires_when_m_of_the_last_n_slots_breached_and_never_before(rule: Rule, seen: str) -> None:
    """Against the definition, for the first firing."""
    fired = next((i for i in range(len(seen)) if seen[max(0, i + 1 - rule.of) : i + 1].count("B") >= rule.needed), None)
    states = run(rule, seen)[0]
    assert states.find("F") == (-1 if fired is None else fired)


@given(rules(), looks, st.integers(0, 60))
def test_a_restart_between_any_two_slots_changes_nothing(rule: Rule, seen: str, cut: int) -> None:
    states, changes, instance = run(rule, seen)
    before, first, saved = run(rule, seen[:cut])
    after, second, restored = run(rule, seen[cut:], recall(remember(saved)))
    assert (before + after, first + second, restored) == (states, changes, instance)


@given(rules(), looks)
def test_a_slot_seen_twice_changes_nothing(rule: Rule, seen: str) -> None:
    """Two evaluators for a moment, or a replay after a crash."""
    instance = run(rule, seen)[2]
    for letter in "B-xL":
        again = Seen(instance.slot, LOOKS[letter], late=rule.late_slots if letter == "L" else ())
        assert step(rule, instance, again) == (instance, None)


@given(rules(), looks)
def test_late_data_never_clears(rule: Rule, seen: str) -> None:
    """From wherever the machine is, a slot with a late breach leads at least as high as the same slot without."""
    instance = run(rule, seen)[2]
    height = {State.NORMAL: 0, State.RESOLVED: 0, State.PENDING: 1, State.RECOVERING: 2, State.FIRING: 2}
    for look in (Look.PASS, Look.BETWEEN, Look.BREACH, Look.KEEP):
        slot = instance.slot + rule.every_s
        plain, late = (step(rule, instance, Seen(slot, look, late=ago))[0] for ago in ((), rule.late_slots))
        assert height[late.state] >= height[plain.state]


@given(rules(), looks)
def test_steady_breaches_always_fire(rule: Rule, seen: str) -> None:
    states, _, _ = run(rule, seen + "B" * rule.of)
    assert states[-1] == "F"


@given(rules(), looks)
def test_steady_passes_always_come_to_rest(rule: Rule, seen: str) -> None:
    quiet = "-" * (rule.of + rule.keep_firing_s // rule.every_s + 1)
    assert run(rule, seen + quiet)[2].resting
