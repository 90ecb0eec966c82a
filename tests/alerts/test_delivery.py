"""The way from changes of state to Slack, whatever Slack and the store do meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from alert_world import World, at, burst, unavailable, walk
from faasight_store import StoreUnavailableError
from polling import wait_until

# What has nothing to do with how the engine is reached is tried in one mode.
one_mode = pytest.mark.parametrize("emptied", ["embedded"], indirect=True)


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
        patched.setattr(world.store, "insert", unavailable)
        for second in range(120, 125):
            with pytest.raises(StoreUnavailableError):
                service.deliver(at(second))
    assert len(slack.accepted) == 1
    service.deliver(at(130))
    assert len(slack.accepted) == 1
    assert [event.delivery for event in world.history()] == ["none", "sent"]


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


@one_mode
def test_people_are_told_when_the_store_does_not_answer(
    world: World, slack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox is in the store: this one message goes past it."""
    service = world.alerts(interval_s=0.05)
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "query", unavailable)
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
