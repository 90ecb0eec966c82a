"""Messages as Slack blocks, within Slack's limits: what is too long is cut, and the link leads to the rest."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from faasight_alerts.message import Message

# https://docs.slack.dev/reference/block-kit/blocks
MOST_BLOCKS = 50
MOST_HEADER = 150
MOST_TEXT = 3000
MOST_FIELD = 2000
_BLOCKS_EACH = 3
MOST_MESSAGES = (MOST_BLOCKS - 1) // _BLOCKS_EACH

_SIGNS = {"critical": "\N{LARGE RED CIRCLE}", "warning": "\N{LARGE ORANGE CIRCLE}", "info": "\N{LARGE BLUE CIRCLE}"}
_RESOLVED = "\N{LARGE GREEN CIRCLE}"

Block = dict[str, Any]


def payload(messages: Sequence[Message]) -> dict[str, Any]:
    """Return the body of one webhook call; `text` is what a notification shows."""
    title = _title(messages)
    blocks: list[Block] = [{"type": "header", "text": {"type": "plain_text", "text": cut(title, MOST_HEADER)}}]
    for message in messages[:MOST_MESSAGES]:
        blocks += _blocks(message, alone=len(messages) == 1)
    return {"text": cut(escape(title), MOST_TEXT), "blocks": blocks}


def plain(messages: Sequence[Message]) -> str:
    """Return the same as text without any layout."""
    return cut("\n\n".join(_summary(message) for message in messages), MOST_TEXT)


def _title(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        return f"{_sign(messages[0])} {messages[0].title}"
    states = Counter(message.state for message in messages)
    sign = _SIGNS["critical"] if states["firing"] else _RESOLVED
    return f"{sign} {len(messages)} alerts: " + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _blocks(message: Message, *, alone: bool) -> list[Block]:
    fields = [
        ("Function" if message.labels.get("function") else "Subject", message.subject or "-"),
        ("Severity", f"{_sign(message)} {message.severity}"),
        ("Value", message.value),
        ("Condition", message.condition),
    ]
    more = {key: value for key, value in message.labels.items() if key != "function" and value}
    fields += [(key.capitalize(), value) for key, value in more.items()]
    context = f"{message.state} because: {message.reason} · since {_time(message.since)} · {message.id}"
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": _summary(message, headline=not alone)}},
        {"type": "section", "fields": [_field(name, value) for name, value in fields[:10]]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": cut(escape(context), MOST_TEXT)}]},
    ]


def _summary(message: Message, *, headline: bool = True) -> str:
    """Return the headline, unless the header says it, then the summary, and the link, which always survives the cut."""
    link = f"\n<{message.link}|Open in FaaSight>" if message.link else ""
    title = f"*{escape(message.title)}*\n" if headline else ""
    return cut(title + escape(message.summary), MOST_TEXT - len(link)) + link


def _field(name: str, value: str) -> Block:
    return {"type": "mrkdwn", "text": cut(f"*{name}*\n{escape(value)}", MOST_FIELD)}


def _sign(message: Message) -> str:
    return _RESOLVED if message.state == "resolved" else _SIGNS[message.severity]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def escape(text: str) -> str:
    """Escape what means something to Slack, so that a function's name cannot make a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, most: int) -> str:
    """Shorten text to `most` characters, never within an escape."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    start = head.rfind("&")
    if start >= 0 and ";" not in head[start:] and len(head) - start < len("&amp;"):
        head = head[:start]
    return f"{head}…"
