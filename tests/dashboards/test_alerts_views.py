"""Alerts as cards and rows."""

from datetime import UTC, datetime, timedelta

from components import count, links, texts
from faasight_dashboards.views.alerts import active, counts, history_rows
from faasight_store.types import AlertEvent, AlertInstance

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


def instance(
    state: str = "firing", severity: str = "critical", function: str = "payment", summary: str = "7 % fail"
) -> AlertInstance:
    labels = {"function": function, "environment": "", "region": "eu-west-1"}
    return AlertInstance(
        "id", "errors", severity, state, labels, NOW - timedelta(minutes=14), 0.07, "error rate > 5 %", summary
    )


def test_counts_by_state_in_the_order_of_urgency() -> None:
    assert counts([instance("pending"), instance("firing"), instance("firing")]) == "2 firing · 1 pending"
    assert counts([]) == "nothing fires"


def test_a_card_tells_rule_labels_condition_since_and_where_to_look() -> None:
    cards = active([instance(function="pay/ment", summary=HOSTILE)], NOW)
    assert {"Critical", "errors", "pay/ment, region=eu-west-1", HOSTILE, "error rate > 5 %", "firing for 14m"} <= set(
        texts(cards)
    )
    assert links(cards) == [
        "/functions/pay%2Fment",
        "/traces?function=pay%2Fment&errors=1",
        "/logs?q=function%3A%22pay/ment%22",
    ]


def test_an_alert_without_a_function_has_no_links() -> None:
    own = AlertInstance("id", "channel-failing", "warning", "firing", {"channel": "slack"}, NOW, 1.0, "x", "y")
    assert links(active([own], NOW)) == []


def test_nothing_to_show_says_what_to_do_next() -> None:
    assert "Nothing fires" in texts(active([], NOW))


def test_a_storm_of_alerts_stays_a_small_page() -> None:
    storm = active([instance() for _ in range(300)], NOW)
    assert count(storm) < 500
    assert "and 275 more" in texts(storm)


def test_history_tells_what_changed_and_what_became_of_the_message() -> None:
    event = AlertEvent(
        "e1", NOW, "id", "errors", "critical", {"function": "payment"}, "resolved", 0.0, HOSTILE, "passed", "sent"
    )
    (row,) = history_rows([event])
    assert row == {
        "id": "e1",
        "at": "2026-11-21 12:00:00",
        "utc": "2026-11-21 12:00:00.000 UTC",
        "state": "resolved",
        "severity": "critical",
        "rule": "errors",
        "labels": "payment",
        "summary": HOSTILE,
        "reason": "passed",
        "delivery": "sent",
    }
