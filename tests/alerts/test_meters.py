"""What the alerts count of themselves: evaluations, changes, messages, and faults."""

import pytest
from alert_world import World, at, burst, unavailable
from prometheus_client import CollectorRegistry

one_mode = pytest.mark.parametrize("emptied", ["embedded"], indirect=True)
RULE = "errors"


def _value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(f"faasight_alerts_{name}", labels)
    assert found is not None, (name, labels)
    return found


@one_mode
def test_evaluations_changes_and_messages_are_counted(world: World, slack: object) -> None:
    burst(world)
    service = world.alerts()
    rule = service.rules[0].id
    assert _value(service.metrics, "evaluations_total", rule=rule, result="ok") == 0
    for second in range(60, 301, 30):
        service.tick(at(second))
    assert _value(service.metrics, "evaluations_total", rule=rule, result="ok") >= 8
    assert _value(service.metrics, "evaluation_seconds_count") >= 8
    told = [event.state for event in world.history()]
    for state in set(told):
        assert _value(service.metrics, "changes_total", state=state) == told.count(state)
    assert _value(service.metrics, "messages_total", channel="slack", answer="sent") == 2
    assert _value(service.metrics, "send_seconds_count", channel="slack") == 2
    assert _value(service.metrics, "leading") == 1
    assert _value(service.metrics, "channel_failures", channel="slack") == 0


@one_mode
def test_faults_are_counted_and_another_that_stands_by_does_not_lead(world: World) -> None:
    world.measure = unavailable
    service = world.alerts(slack_webhook="http://127.0.0.1:9/services/nobody")
    service.tick(at(60))
    assert _value(service.metrics, "evaluations_total", rule=service.rules[0].id, result="failed") == 1
    second = world.alerts()
    second.tick(at(61))
    assert _value(second.metrics, "leading") == 0
