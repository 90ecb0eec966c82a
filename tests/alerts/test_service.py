"""The way from invocations to changes of state, in both store modes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from alert_world import ERRORS, START, THROTTLES, World, at, burst, unavailable, walk
from faasight_store import StoreUnavailableError
from faasight_store.queries import alerts as stored
from faasight_store.types import Measurement
from polling import wait_until

# What has nothing to do with how the engine is reached is tried in one mode.
one_mode = pytest.mark.parametrize("emptied", ["embedded"], indirect=True)


def test_errors_become_pending_then_fire_then_resolve(world: World, slack: Any) -> None:
    burst(world)
    service, seen = world.alerts(), []
    for second in range(60, 301, 30):
        service.tick(at(second))
        seen.append(world.states().get("errors checkout", "-"))
    assert seen == ["-", "pending", "firing", "recovering", "recovering", "-", "-", "-", "-"]
    assert slack.titles() == [
        "\N{LARGE RED CIRCLE} Critical: errors on checkout",
        "\N{LARGE GREEN CIRCLE} Resolved: errors on checkout",
    ]
    assert "checkout fails: 40 %" in slack.texts()
    opened = int((at(120).timestamp() - 900) * 1000)
    assert f"http://faasight.test/functions/checkout?from={opened}&to=" in slack.texts()
    told = [(event.state, event.reason, event.delivery) for event in world.history()]
    assert told == [
        ("pending", "breach", "none"),
        ("firing", "2 breaches in 2 slots", "sent"),
        ("recovering", "passed", "none"),
        ("resolved", "passed", "sent"),
    ]
    assert len({event.instance for event in world.history()}) == 1


@one_mode
def test_of_two_levels_the_graver_one_tells_and_the_other_when_that_is_over(world: World, slack: Any) -> None:
    """Half of the calls fail for a while, then a few, then none: one message at a time, each once."""
    world.invoke(*range(0, 120, 10), failed=5)
    world.invoke(*range(120, 240, 10), failed=1)
    world.invoke(*range(240, 400, 10))
    rules = ERRORS.replace('critical: "> 10 %"', 'warning: "> 5 %", critical: "> 20 %"').replace(
        "firing_for: 60s", "firing_for: 0"
    )
    walk(world.alerts(rules), 60, 390)
    said = [title.split(maxsplit=1)[1] for title in slack.titles()]
    assert said == [
        "Critical: errors on checkout",
        "2 alerts: 1 firing, 1 resolved",  # the critical one is over, and the warning still goes on
        "Resolved: errors on checkout",
    ]
    first = next(event for event in world.history() if event.severity == "warning" and event.state == "firing")
    assert (first.delivery, first.reason) == ("none", "a more severe level tells of it")


def test_throttles_fire_though_nothing_ran(world: World, slack: Any) -> None:
    """A function that is turned away altogether has no invocations to count."""
    world.throttle(30, 7)
    service = world.alerts(THROTTLES)
    walk(service, 60, 150)
    assert slack.titles() == [
        "\N{LARGE ORANGE CIRCLE} Warning: throttles on checkout",
        "\N{LARGE GREEN CIRCLE} Resolved: throttles on checkout",
    ]
    assert "throttles &gt; 0 over 1 min" in slack.texts()


@one_mode
def test_each_function_has_its_own_state(world: World, slack: Any) -> None:
    world.invoke(*range(0, 120, 10), failed=5, function="payment")
    world.invoke(*range(0, 120, 10), failed=0, function="search")
    world.invoke(30, count=4, failed=4, function="rare")
    walk(world.alerts(), 60, 120)
    assert world.states() == {"errors payment": "firing"}


def test_a_restart_keeps_firing_and_pending_without_a_new_message(world: World, slack: Any) -> None:
    world.invoke(*range(0, 300, 10), failed=5)
    world.invoke(*range(0, 120, 10), function="payment")
    world.invoke(*range(120, 300, 10), failed=5, function="payment")
    first = world.alerts()
    walk(first, 60, 150)
    assert world.states() == {"errors checkout": "firing", "errors payment": "pending"}
    pending_since = {one.labels["function"]: one.since for one in stored.active(world.store)}["payment"]
    first.stop()

    second_one = world.alerts()
    second_one.tick(at(151))
    assert world.states() == {"errors checkout": "firing", "errors payment": "pending"}
    assert {one.labels["function"]: one.since for one in stored.active(world.store)}["payment"] == pending_since
    assert len(slack.accepted) == 1
    second_one.tick(at(180))
    assert world.states() == {"errors checkout": "firing", "errors payment": "firing"}
    assert len(slack.accepted) == 2


def test_a_restart_forgets_no_breach(world: World, slack: Any) -> None:
    """The second of three breaches changes no state, so that no row of a change tells of it."""
    world.invoke(*range(0, 300, 10), failed=5)
    three = ERRORS.replace("for: 30s", "for: 60s")
    first = world.alerts(three)
    walk(first, 60, 90)
    first.stop()
    world.alerts(three).tick(at(120))
    assert world.states() == {"errors checkout": "firing"}


def test_slots_missed_while_nobody_ran_are_made_up_in_order(world: World, slack: Any) -> None:
    """The burst came and went while the process was down: it fired, and it resolved."""
    burst(world)
    first = world.alerts()
    first.tick(at(60))
    first.stop()
    world.alerts().tick(at(400))
    assert [event.state for event in world.history()] == ["pending", "firing", "recovering", "resolved"]
    assert "2 alerts: 1 firing, 1 resolved" in slack.titles()[0]


def test_a_killed_evaluator_is_replaced_once_its_lease_is_over(world: World, slack: Any) -> None:
    burst(world)
    walk(world.alerts(), 60, 120)  # and then it is killed: nothing is given back
    other = world.alerts()
    assert other.tick(at(150)) == 0  # a slot is due, and it would see that the burst is over
    assert world.states() == {"errors checkout": "firing"}
    walk(other, 180, 300)
    assert [title.split()[1] for title in slack.titles()] == ["Critical:", "Resolved:"]


def test_two_evaluators_tell_everything_once(world: World, slack: Any) -> None:
    burst(world)
    one, two = world.alerts(), world.alerts()
    for second in range(60, 301, 30):
        one.tick(at(second))
        two.tick(at(second))
    assert [title.split()[1] for title in slack.titles()] == ["Critical:", "Resolved:"]


@one_mode
def test_an_evaluator_that_lost_its_lease_cannot_spoil_the_state(world: World, slack: Any) -> None:
    """It sleeps in the midst, another takes over, and then it wakes and writes under its old epoch."""
    burst(world)
    sleeper, other = world.alerts(), world.alerts()
    walk(sleeper, 60, 120)
    walk(other, 180, 300)
    assert world.states() == {}
    stale = sleeper._evaluator  # what it would still do if it did not look at the lease first
    stale.run(1, at(310), {}, lambda: False)
    assert world.states() == {}
    other.tick(at(330))
    assert [title.split()[1] for title in slack.titles()] == ["Critical:", "Resolved:"]


def test_changes_that_cannot_be_written_are_made_again(
    world: World, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is never known here and not in the store: the next tick finds and tells it."""
    burst(world)
    service = world.alerts()
    walk(service, 60, 90)
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "insert", unavailable)
        with pytest.raises(StoreUnavailableError):
            service.tick(at(120))
    assert world.states() == {"errors checkout": "pending"}
    service.tick(at(125))
    assert world.states() == {"errors checkout": "firing"}
    assert len(slack.accepted) == 1


@one_mode
def test_a_query_that_fails_leaves_the_state_and_is_told_after_the_third_time(world: World, slack: Any) -> None:
    burst(world)
    broken = False

    def measure(signal: str, start: datetime, end: datetime, group_by: Sequence[str]) -> list[Measurement]:
        if broken:
            raise StoreUnavailableError("too slow")
        return world.real_measure(signal, start, end, group_by)

    world.measure = measure
    service = world.alerts()
    walk(service, 60, 120)
    broken = True
    walk(service, 150, 180)
    assert world.states() == {"errors checkout": "firing"}
    service.tick(at(210))
    assert world.states() == {"errors checkout": "firing", "rule-evaluation-failing": "firing"}
    broken = False
    service.tick(at(240))  # makes up the slots that failed: it passed at 150, 180 and 210
    assert world.states() == {}
    service.tick(at(250))
    assert [title.split(maxsplit=1)[1] for title in slack.titles()] == [
        "Critical: errors on checkout",
        "Critical: rule-evaluation-failing on rule=errors/critical",
        "2 alerts: 2 resolved",
    ]


@one_mode
def test_a_rule_that_is_deleted_resolves_with_that_reason(world: World, slack: Any) -> None:
    burst(world)
    first = world.alerts(ERRORS + THROTTLES)
    walk(first, 60, 120)
    first.stop()
    world.alerts(THROTTLES).tick(at(150))
    assert world.states() == {}
    assert world.history()[-1].reason == "the rule is deleted or paused"
    assert "the rule is deleted or paused" in slack.texts()


@one_mode
def test_invocations_that_arrive_late_are_told_all_the_same(world: World, slack: Any) -> None:
    world.invoke(*range(0, 300, 10))
    service = world.alerts(ERRORS.replace("for: 30s", "for: 0"))
    walk(service, 60, 150)
    world.invoke(45, count=10, failed=10)  # known two minutes after it began
    assert world.states() == {}
    walk(service, 180, 300)
    assert len(slack.accepted) == 2
    assert "late data" in slack.texts()
    assert [event.state for event in world.history()] == ["firing", "recovering", "resolved"]


@one_mode
def test_what_went_on_before_the_first_start_is_no_news(world: World, slack: Any) -> None:
    burst(world)
    walk(world.alerts(ERRORS.replace("for: 30s", "for: 0")), 180, 300)
    assert slack.received == []


def test_started_it_evaluates_and_sends_by_itself_and_stops_in_order(world: World, slack: Any) -> None:
    """Real threads, the real clock, the rules of a file; then its successor goes on at once."""
    rule = ERRORS.replace("every: 30s", "every: 1s").replace("for: 30s", "for: 1s").replace("delay: 10s", "delay: 0")
    rule = rule.replace("window: 60s", "window: 20m")  # so that nothing changes however slowly the test runs
    now = (datetime.now(UTC) - START).total_seconds()
    world.invoke(now - 20, failed=9)
    service = world.alerts(rule, interval_s=0.2)
    service.start()
    try:
        wait_until(lambda: slack.accepted, "Slack hears of the errors")
    finally:
        service.stop()
    assert slack.titles() == ["\N{LARGE RED CIRCLE} Critical: errors on checkout"]
    assert world.alerts(rule).tick(datetime.now(UTC)) == 0
    assert len(slack.accepted) == 1
