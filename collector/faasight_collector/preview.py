"""Shows a person what is in a record, without the secrets that may be in it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from faasight_collector.admit import REQUESTS
from faasight_collector.segments import LINES

HIDDEN = "(hidden)"
_LIMIT = 4000  # characters
_SECRET_NAME = re.compile(
    r"(?i)auth|cookie|passw|pwd|secret|token|api[-_. ]?key|access[-_. ]?key|credential|private|session|signature"
)
_SECRET_TEXT = re.compile(
    r"""(?ix)
    (?P<before>
        \b(?:bearer|basic)\s+ | ://[^/\s:@]*: |
        (?<!\w)\w{0,40}(?:passw|pwd|secret|token|api_?key)\w* ["']? \s* [=:] \s* ["']?
    )
    [^\s"'&@,;]+"""
)


def preview(signal: str, payload: bytes) -> str:
    """Return a record as indented JSON, at most 4,000 characters; what cannot be decoded as its size and first bytes.

    Values are hidden whose name sounds like a secret, and so is what looks like one inside a text.
    """
    try:
        found = _lines(payload) if signal == LINES else MessageToDict(REQUESTS[signal].FromString(payload))
    except (DecodeError, ValueError, RecursionError):
        return f"{len(payload)} bytes that cannot be decoded, beginning with {payload[:16].hex(' ')}"
    text = json.dumps(_shown(found), indent=1, ensure_ascii=False)
    return text if len(text) <= _LIMIT else f"{text[:_LIMIT]}\n... ({len(payload)} bytes in all)"


def without_secrets(text: str) -> str:
    """Return a text without what looks like a secret in it."""
    return _SECRET_TEXT.sub(lambda match: match["before"] + HIDDEN, text)


def _lines(payload: bytes) -> list[Any]:
    return [json.loads(line) for line in payload.splitlines() if line.strip()]


def _shown(value: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, Mapping):
        name = value.get("key")  # an attribute of OTLP: {"key": ..., "value": ...}
        hidden = isinstance(name, str) and _SECRET_NAME.search(name)
        return {
            key: HIDDEN if _SECRET_NAME.search(key) or (hidden and key == "value") else _shown(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return without_secrets(value[:_LIMIT]) if isinstance(value, str) else value
