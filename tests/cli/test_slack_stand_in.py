"""The Slack stand-in speaks the incoming-webhook protocol."""

import json
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from faasight_cli.slack import SlackStandIn


@pytest.fixture
def shown() -> Iterator[tuple[list[str], str]]:
    """Give the list that messages come into, and the URL."""
    messages: list[str] = []
    stand_in = SlackStandIn(messages.append)
    stand_in.start()
    yield messages, stand_in.url
    stand_in.stop()


def post(url: str, body: bytes) -> tuple[int, bytes]:
    request = Request(url, data=body, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=180) as answer:
        return answer.status, answer.read()


def test_a_message_with_blocks_is_shown_as_lines(shown: tuple[list[str], str]) -> None:
    messages, url = shown
    message = {
        "text": "fallback",
        "attachments": [
            {
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": "payment: errors"}},
                    {
                        "type": "section",
                        "fields": [{"type": "mrkdwn", "text": "*value*\n50 %"}, {"type": "mrkdwn", "text": "x"}],
                    },
                    {
                        "type": "context",
                        "elements": [{"type": "mrkdwn", "text": "<http://h/x?a=1&amp;b=2|since 10:00>"}],
                    },
                    {
                        "type": "actions",
                        "elements": [
                            {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": "http://h/f"}
                        ],
                    },
                    {"type": "divider"},
                ]
            }
        ],
    }
    assert post(url, json.dumps(message).encode()) == (200, b"ok")
    assert messages == ["payment: errors\nvalue 50 % · x\nsince 10:00: http://h/x?a=1&b=2\nOpen: http://h/f"]


def test_plain_text_is_shown_where_there_are_no_blocks(shown: tuple[list[str], str]) -> None:
    messages, url = shown
    assert post(url, b'{"text": "hello"}') == (200, b"ok")
    assert messages == ["hello"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"blocks": [{"text": "no object"}]}'])
def test_what_slack_would_refuse_is_refused(shown: tuple[list[str], str], body: bytes) -> None:
    messages, url = shown
    with pytest.raises(HTTPError) as caught:
        post(url, body)
    assert (caught.value.code, caught.value.read()) == (400, b"invalid_payload")
    caught.value.close()
    assert messages == []
