"""Slack: what is sent, within its limits; and what each of its answers means."""

import json
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from faasight_alerts.channels import blocks
from faasight_alerts.channels.channel import Verdict
from faasight_alerts.channels.slack import SlackWebhook
from faasight_alerts.message import Message, page_link
from faasight_alerts.service import Settings
from hypothesis import given
from hypothesis import strategies as st
from polling import wait_until

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SECRET = "T0SECRET/B0SECRET/notForAnyLog"


def message(**changed: Any) -> Message:
    plain: dict[str, Any] = {
        "id": "abc123", "state": "firing", "severity": "critical", "rule": "errors",
        "labels": {"function": "checkout", "environment": "prod"}, "value": "12.5 %",
        "condition": "error rate > 10 % over 5 min", "summary": "checkout: 12.5 % of the invocations fail",
        "reason": "breach", "since": NOON, "at": NOON, "link": "http://faasight.test/functions/checkout?from=1&to=2",
    }  # fmt: skip
    return Message(**(plain | changed))


def test_a_message_says_all_that_matters() -> None:
    body = blocks.payload([message()])
    shown = json.dumps(body, ensure_ascii=False)
    assert body["blocks"][0]["text"]["text"].endswith("Critical: errors on checkout")
    for part in ("12.5 %", "error rate &gt; 10 % over 5 min", "prod", "abc123", "2026-05-04 12:00:00 UTC"):
        assert part in shown
    assert "<http://faasight.test/functions/checkout?from=1&to=2|Open in FaaSight>" in shown
    assert json.dumps(body["blocks"]).count("errors on checkout") == 1, "the header says it already"
    assert "Resolved: errors on checkout" in blocks.payload([message(state="resolved")])["text"]


def test_many_messages_become_one_with_a_count() -> None:
    many = [message(id=str(i)) for i in range(5)] + [message(id="r", state="resolved")]
    body = blocks.payload(many)
    assert "6 alerts: 5 firing, 1 resolved" in body["text"]
    assert json.dumps(body["blocks"]).count("*Critical: errors on checkout*") == 5, "each needs its own headline here"
    assert all(f"· {one.id}" in json.dumps(body, ensure_ascii=False) for one in many)


def test_a_name_cannot_make_a_link_or_a_mention() -> None:
    body = blocks.payload([message(labels={"function": "<!channel>"}, summary="<http://evil|x>")])
    assert body["blocks"][0]["text"]["type"] == "plain_text"  # where Slack reads no markup
    marked_up = json.dumps([body["text"], body["blocks"][1:]])
    assert "<!channel>" not in marked_up
    assert "<http://evil" not in marked_up


labels = st.dictionaries(st.sampled_from(["function", "environment", "version", "region"]), st.text(max_size=3000))
messages = st.builds(
    message, summary=st.text(max_size=8000), condition=st.text(max_size=4000), value=st.text(), labels=labels
)


@given(st.lists(messages, min_size=1, max_size=40))
def test_every_message_keeps_slacks_limits(many: list[Message]) -> None:
    body = blocks.payload(many)
    assert len(body["blocks"]) <= 50
    assert len(body["text"]) <= 3000
    assert len(body["blocks"][0]["text"]["text"]) <= 150
    for block in body["blocks"][1:]:
        assert len(block.get("text", {"text": ""})["text"]) <= 3000
        assert len(block.get("fields", [])) <= 10
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))
    first = body["blocks"][1]["text"]["text"]
    assert first.endswith("|Open in FaaSight>")  # the way to the rest survives every cut


def test_the_link_survives_however_long_the_text_is() -> None:
    section = blocks.payload([message(summary="<long> " * 900)])["blocks"][1]["text"]["text"]
    assert len(section) <= 3000
    assert section.endswith("…\n<http://faasight.test/functions/checkout?from=1&to=2|Open in FaaSight>")


@given(st.text("&<>a", min_size=1, max_size=40), st.integers(1, 60))
def test_a_cut_never_splits_an_escape(text: str, most: int) -> None:
    short = blocks.cut(blocks.escape(text), most)
    assert len(short) <= most
    whole = short.removesuffix("…")
    for sign in ("&amp;", "&lt;", "&gt;"):
        whole = whole.replace(sign, "")
    assert "&" not in whole


def test_ok_means_sent(slack: Any) -> None:
    assert SlackWebhook(slack.url).send([message()]).verdict is Verdict.SENT
    assert slack.titles()[0].endswith("Critical: errors on checkout")


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (429, "rate_limited", Verdict.LATER),
        (500, "rollup_error", Verdict.LATER),
        (503, "", Verdict.LATER),
        (403, "action_prohibited", Verdict.REFUSED),
        (404, "channel_not_found", Verdict.REFUSED),
        (410, "channel_is_archived", Verdict.REFUSED),
        (200, "<html>Sign in</html>", Verdict.REFUSED),  # a proxy's page is not Slack's yes
    ],
)
def test_what_each_answer_means(
    slack: Any, reply: Callable[..., Any], status: int, body: str, verdict: Verdict
) -> None:
    slack.replies.append(reply(status=status, body=body))
    answer = SlackWebhook(slack.url).send([message()])
    assert answer.verdict is verdict
    assert str(status) in answer.detail
    assert slack.accepted == []


@pytest.mark.parametrize(
    ("header", "wait_s"), [("7", 7.0), ("0", 1.0), ("999999", 3600.0), ("soon", 30.0), (None, 30.0)]
)
def test_retry_after_is_honoured(slack: Any, reply: Callable[..., Any], header: str | None, wait_s: float) -> None:
    slack.replies.append(reply(status=429, body="rate_limited", headers={"Retry-After": header} if header else {}))
    assert SlackWebhook(slack.url).send([message()]).wait_s == wait_s


def test_blocks_that_slack_does_not_like_are_said_in_plain_words(slack: Any, reply: Callable[..., Any]) -> None:
    slack.replies.append(reply(status=400, body="invalid_blocks"))
    assert SlackWebhook(slack.url).send([message()]).verdict is Verdict.SENT
    assert "blocks" not in slack.accepted[0]
    assert "12.5 % of the invocations fail" in slack.accepted[0]["text"]


@pytest.mark.parametrize("how", ["drop", "hang"])
def test_a_connection_that_breaks_or_hangs_is_tried_later(slack: Any, reply: Callable[..., Any], how: str) -> None:
    slack.replies.append(reply(how=how))
    answer = SlackWebhook(slack.url, timeout_s=1).send([message()])
    assert answer.verdict is Verdict.LATER
    wait_until(lambda: slack.received, "it has come, if only after the client gave up")
    assert len(slack.received) == 1  # the client itself does not repeat


def test_nobody_there_is_tried_later() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        answer = SlackWebhook(f"http://127.0.0.1:{taken.getsockname()[1]}/services/{SECRET}").send([message()])
    assert answer.verdict is Verdict.LATER


@pytest.mark.parametrize(
    "url", [f"hooks.slack.com/services/{SECRET}", f"ftp://x/{SECRET}", "", f"https:///{SECRET}", f"https://x/é{SECRET}"]
)
def test_a_url_that_cannot_be_one_is_said_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"https://hooks\.slack\.com") as caught:
        SlackWebhook(url)
    assert SECRET not in str(caught.value)


def test_the_secret_is_shown_and_logged_nowhere(
    slack: Any, reply: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Not at DEBUG, where the client library would, nor in what is said of a fault."""
    with caplog.at_level(logging.DEBUG):
        channel = SlackWebhook(slack.url, timeout_s=1)
        slack.replies += [reply(), reply(status=404, body="no_service"), reply(how="drop")]
        said = [channel.send([message()]).detail for _ in range(3)]
    for text in [*said, caplog.text, repr(channel), str(channel), repr(Settings(slack_webhook=slack.url))]:
        assert "notForAnyLog" not in text
        assert "B0SECRET" not in text


def test_links_lead_to_the_function_around_the_time() -> None:
    at = int(NOON.timestamp())
    link = page_link("https://faasight.test/", {"function": "a/b c", "environment": "prod"}, at, at + 60)
    start, end = (at - 900) * 1000, (at + 960) * 1000
    assert link == f"https://faasight.test/functions/a%2Fb%20c?from={start}&to={end}&env=prod"
    assert page_link("https://faasight.test", {"rule": "errors"}, at, at) == "https://faasight.test/alerts"
    assert page_link("", {"function": "a"}, at, at) == ""
