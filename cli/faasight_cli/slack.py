"""Stands in for Slack: a local server that speaks the incoming-webhook protocol and shows what Slack would show."""

import html
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LARGEST = 1_000_000  # bytes of a message


class SlackStandIn:
    """Takes messages at `url` and hands each, as lines of text, to `show`."""

    def __init__(self, show: Callable[[str], None], port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Webhook)
        self._server.show = show
        self._thread = threading.Thread(target=self._server.serve_forever, name="slack-stand-in", daemon=True)

    @property
    def url(self) -> str:
        """What FAASIGHT_SLACK_WEBHOOK would be."""
        return f"http://127.0.0.1:{self._server.server_port}/services/T000/B000/demo"

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    show: Callable[[str], None]


class _Webhook(BaseHTTPRequestHandler):
    """Answers as Slack does: 200 `ok`, or 400 `invalid_payload`."""

    server: _Server

    def do_POST(self) -> None:
        """Take one message."""
        length = int(self.headers.get("Content-Length", 0))
        try:
            message = json.loads(self.rfile.read(min(length, _LARGEST)))
            lines = list(text(message))
        except (ValueError, TypeError, AttributeError):
            lines = []
        if not lines:
            self._answer(400, b"invalid_payload")
            return
        self.server.show("\n".join(lines))
        self._answer(200, b"ok")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Keep quiet: what matters is shown."""


def text(message: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that a person would read: the blocks where there are any, else the plain text."""
    blocks = list(message.get("blocks", []))
    for attachment in message.get("attachments", []):
        blocks += attachment.get("blocks", [])
    shown = [line for block in blocks for line in _block(block)]
    yield from shown or ([message["text"]] if message.get("text") else [])


def _block(block: dict[str, Any]) -> Iterator[str]:
    if "text" in block:
        yield _plain(block["text"]["text"])
    if block.get("fields"):
        yield " · ".join(_plain(field["text"]).replace("\n", " ") for field in block["fields"])
    for element in block.get("elements", []):
        label = element["text"]["text"] if isinstance(element.get("text"), dict) else element.get("text", "")
        yield _plain(label) + (f": {element['url']}" if "url" in element else "")


def _plain(mrkdwn: str) -> str:
    """Return Slack's markup as a terminal can show it: https://docs.slack.dev/messaging/formatting-message-text."""
    text = re.sub(r"<([^|<>]+)\|([^<>]+)>", r"\2: \1", mrkdwn)
    text = re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"\1", text)
    return html.unescape(text)
