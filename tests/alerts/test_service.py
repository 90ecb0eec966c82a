"""The whole way, in both store modes: invocations in the store, rules over them, messages at Slack."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faasight_alerts import Alerts, Settings
from faasight_store import Scope, Store, StoreUnavailableError
from faasight_store.queries import alerts as stored
from faasight_store.queries import signals
from faasight_store.types import AlertEvent, Measurement
from otlp import Run, records
from polling import wait_until

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
# What has nothing to do with how the engine is reached is tried in one mode.
one_mode = pytest.mark.parametrize("migrated", ["embedded"], indirect=True)
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


@pytest.fixture
def world(emptied: Store, slack: Any, tmp_path: Path) -> World:
    """Give a fresh store and a Slack."""
    return World(emptied, slack.url, tmp_path)


def burst(world: World) -> None:
    """Put half a minute of failures into a function's life: they show at 90 s, hold at 120 s, are over at 150 s."""
    world.invoke(*range(0, 50, 10), *range(80, 300, 10))
    world.invoke(50, 60, 70, failed=8)


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


@one_mode
@pytest.mark.parametrize(
    ("answers", "pause_s"),
    [
        ([{"status": 429, "body": "rate_limited", "headers": {"Retry-After": "20"}}], 20),
        ([{"status": 500, "body": "rollup_error"}], 1),
        ([{"how": "drop"}], 1),
        ([{"how": "hang"}], 1),
        ([{"status": 404, "body": "channel_not_found"}], 300),
    ],
)
def test_whatever_slack_does_nothing_is_lost_and_the_resolve_follows(
    world: World, slack: Any, reply: Callable[..., Any], answers: list[dict[str, Any]], pause_s: int
) -> None:
    burst(world)
    slack.replies += [reply(**answer) for answer in answers]
    service = world.alerts()
    for second in range(60, 121, 30):
        service.evaluate(at(second))
    assert service.deliver(at(120)) == 0
    assert service.deliver(at(120 + pause_s - 0.5)) == 0
    assert len(slack.received) == 1  # the whole destination pauses
    assert service.deliver(at(120 + pause_s)) == 1
    walk(service, 150, 300)
    service.deliver(at(700))
    assert [title.split()[1] for title in slack.titles()] == ["Critical:", "Resolved:"]


@one_mode
def test_waits_grow_while_slack_is_down_and_start_anew_once_it_is_up(
    world: World, slack: Any, reply: Callable[..., Any]
) -> None:
    burst(world)
    slack.replies += [reply(status=503, body="") for _ in range(4)]
    service = world.alerts()
    for second in range(60, 121, 30):
        service.evaluate(at(second))
    tries = [second for second in range(120, 150) if service.deliver(at(second)) or len(slack.received) > 4]
    assert tries[0] == 120 + 1 + 2 + 4 + 8


def test_a_broken_destination_is_shown_and_its_queue_goes_out_when_it_is_repaired(
    world: World, slack: Any, reply: Callable[..., Any]
) -> None:
    burst(world)
    slack.replies += [reply(status=404, body="channel_not_found")]
    first = world.alerts()
    walk(first, 60, 150)
    assert world.states()["alert-channel-failing"] == "firing"
    assert world.deliveries("errors", "firing") == ["broken"]
    first.stop()
    walk(world.alerts(), 180, 300)  # restarted with a webhook that works
    assert [title.split()[1] for title in slack.titles()] == ["Critical:", "Resolved:"]
    assert world.states() == {}
    assert world.deliveries("errors", "firing") == ["sent"]


def test_undelivered_messages_are_sent_after_a_restart(world: World, slack: Any, reply: Callable[..., Any]) -> None:
    burst(world)
    slack.replies += [reply(status=500, body="") for _ in range(20)]
    first = world.alerts()
    walk(first, 60, 300)
    first.stop()
    assert slack.accepted == []
    slack.replies.clear()
    world.alerts().tick(at(330))
    assert "2 alerts: 1 firing, 1 resolved" in slack.titles()[0]


@one_mode
def test_a_sending_that_cannot_be_recorded_is_not_repeated_for_ever(
    world: World, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    burst(world)
    service = world.alerts()
    for second in range(60, 121, 30):
        service.evaluate(at(second))
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "insert", _unavailable)
        for second in range(120, 125):
            with pytest.raises(StoreUnavailableError):
                service.deliver(at(second))
    assert len(slack.accepted) == 1
    service.deliver(at(130))
    assert len(slack.accepted) == 1
    assert [event.delivery for event in world.history()] == ["none", "sent"]


def _unavailable(*_: object, **__: object) -> None:
    raise StoreUnavailableError("the server at 127.0.0.1 does not answer")


def test_changes_that_cannot_be_written_are_made_again(
    world: World, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is never known here and not in the store: the next tick finds and tells it."""
    burst(world)
    service = world.alerts()
    walk(service, 60, 90)
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "insert", _unavailable)
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


@one_mode
def test_without_a_channel_the_state_is_kept_and_nothing_is_queued(world: World, slack: Any) -> None:
    burst(world)
    walk(world.alerts(slack_webhook=None), 60, 120)
    assert world.states() == {"errors checkout": "firing"}
    assert [event.delivery for event in world.history()] == ["none", "none"]


def test_the_secret_is_not_in_the_store(world: World, slack: Any, reply: Callable[..., Any]) -> None:
    burst(world)
    slack.replies += [reply(status=404, body="no_service")]
    walk(world.alerts(), 60, 300)
    for table in ("alert_changes", "alert_deliveries", "alert_leases"):
        rows = world.store.query(f"SELECT toString(tuple(*)) FROM {table}")
        assert rows
        assert "SECRET" not in str(rows)


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


@one_mode
def test_people_are_told_when_the_store_does_not_answer(
    world: World, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox is in the store: this one message goes past it."""
    service = world.alerts(interval_s=0.05)
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "query", _unavailable)
        service.start()
        try:
            wait_until(lambda: slack.accepted, "Slack hears that the store is away")
            patched.undo()
            wait_until(lambda: len(slack.accepted) == 2, "Slack hears that it is back")
        finally:
            service.stop()
    assert [title.split(maxsplit=1)[1] for title in slack.titles()] == [
        "Critical: alerts-blind",
        "Resolved: alerts-blind",
    ]
