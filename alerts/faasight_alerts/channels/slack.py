"""Slack by incoming webhook. The webhook's URL is a password: whoever has it can post, so it is shown nowhere."""

import http.client
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.webhook import WebhookClient, WebhookResponse

from faasight_alerts.channels import blocks
from faasight_alerts.channels.channel import Answer, Verdict
from faasight_alerts.message import Message

_TOO_MANY = 429
_WAIT_S = 30.0  # of a 429 that does not say how long
_LONGEST_WAIT_S = 3600.0


class SlackWebhook:
    """One webhook, which is one channel of one workspace."""

    name = "slack"
    most = blocks.MOST_MESSAGES

    def __init__(self, url: str, timeout_s: int = 10) -> None:
        """Raise ValueError, which does not show the URL, if this cannot be one."""
        parts = urlsplit(url)
        if not url.isascii() or parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("the Slack webhook is no URL; it must look like https://hooks.slack.com/services/...")
        # The client's own logger writes the URL at DEBUG: this one is silent and belongs to nobody.
        silent = logging.Logger("slack_sdk", logging.CRITICAL + 1)
        # Its own retries sleep in our thread; the outbox decides when to try again.
        self._client = WebhookClient(url, timeout=timeout_s, logger=silent, retry_handlers=[])

    def __repr__(self) -> str:
        return "SlackWebhook(https://...)"

    def send(self, messages: Sequence[Message]) -> Answer:
        """Post all messages as one. Slack has taken them only if it answers 200 with the body `ok`."""
        body = blocks.payload(messages)
        answer = self._post(body)
        if answer.verdict is Verdict.REFUSED and "invalid" in answer.detail:
            # It does not like our blocks: plain words are better than nothing.
            return self._post({"text": blocks.plain(messages)})
        return answer

    def _post(self, body: dict[str, Any]) -> Answer:
        try:
            response = self._client.send_dict(body)
        except (OSError, http.client.HTTPException) as error:
            # URLError, time-outs and resets are OSErrors. The type alone: a text might hold the URL.
            return Answer(Verdict.LATER, f"Slack cannot be reached ({type(error).__name__})")
        return _answer(response)


def _answer(response: WebhookResponse) -> Answer:
    status, said = response.status_code, response.body.strip()
    detail = f"Slack answered {status} {said[:80]}".rstrip()
    if status == http.client.OK and said == "ok":
        return Answer(Verdict.SENT)
    if status == _TOO_MANY:
        return Answer(Verdict.LATER, detail, _retry_after(response.headers))
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return Answer(Verdict.LATER, detail)
    return Answer(Verdict.REFUSED, detail)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds Slack asks for; it sends whole seconds."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        return min(max(float(text), 1.0), _LONGEST_WAIT_S)
    except ValueError:
        return _WAIT_S
