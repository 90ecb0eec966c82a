"""What a function was given and what it returned, as masked JSON on its span: off by default (FAASIGHT_CAPTURE).

A payload is walked from its front until a budget is spent, however large it is, and only what is walked is looked at:
by key, and by what it looks like (mask.py). Text that is JSON, a form or base64 of those is taken apart first, since a
key tells more than a pattern. What may hold secrets and is too long to be looked at is named by its size instead.
"""

from __future__ import annotations

import json
import re
from math import inf

from faasight import mask
from faasight.complain import complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from faasight.invocation import Invocation
    from faasight.spans import Span

EVENT, RESULT = "faasight.event", "faasight.result"
_MAX_BYTES = 65_536  # of one attribute, whatever is set
_MAX_NODES = 400  # values of one payload
_MAX_DEPTH = 10
_MAX_KEY = 128  # characters of one key
_MAX_TEXT = 1_024  # characters of one text
_MARGIN = 512  # looked at beyond the cut: a secret that is cut in two is not known any more
_PARSED = 4  # times the limit: characters of texts that are parsed
# What a payload may cost beside its walk, and what each way to look at a character takes at most: in ns of the machine
# that they were measured on, so that what is kept depends on the payload alone and not on how busy a machine is.
_BUDGET = 75  # for each byte of the limit
_SCAN, _KEY, _JSON, _FORMS, _DECODE = 50, 200, 40, 100, 20
_SHOWN = frozenset({"Decimal", "datetime", "date", "time", "UUID"})  # whose text is what they are, and cheap
_NAMES = ("name", "Name", "key", "Key")
_ENCODED = frozenset({"data", "value", "body"})  # keys of Kinesis, Pub/Sub, Kafka, MQ and API Gateway
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_FORM = re.compile(r"[\w.%+~\[\]-]+=[^&\s{\"]*(?:&[\w.%+~\[\]-]+=[^&\s{\"]*)*&?")
_CUT = "..."
_NAMED = 24  # characters, about, of what stands for a text


class Capture:
    """Which payloads are kept, and how much of each."""

    def __init__(self, parts: tuple[str, ...], limit: int) -> None:
        """`parts` of event, result and error (the event of what fails); `limit` in bytes of JSON."""
        self.event = "event" in parts
        self.result = "result" in parts
        self.error = "error" in parts and not self.event
        self._limit = min(limit, _MAX_BYTES)

    def begin(self, invocation: Invocation, event: object) -> None:
        """Keep the event before the handler can change it; or remember it, in case that it fails."""
        if self.event:
            self.keep(invocation.span, EVENT, event)
        elif self.error:
            invocation.event = event

    def end(self, invocation: Invocation, result: object) -> None:
        """Keep what was returned, and the event of what failed."""
        span = invocation.span
        if self.result and result is not None:
            self.keep(span, RESULT, result)
        if span.attributes.get("faasight.outcome") != "ok" or "faasight.batch.failures" in span.attributes:
            self.failed(invocation, span)
        invocation.event = None

    def failed(self, invocation: Invocation, span: Span) -> None:
        """Keep the event of what failed or timed out, on its span or what stands for that."""
        if self.error:
            self.keep(span, EVENT, invocation.event)

    def keep(self, span: Span, key: str, payload: object) -> None:
        """Set an attribute of the span; without it, if the payload cannot be read."""
        try:
            span.attributes[key] = self.text(payload)
        except Exception as error:  # noqa: BLE001 - a payload may be anything
            complaints.failure(f"capturing {key}", error)

    def text(self, payload: object) -> str:
        """Return a payload as JSON of at most the limit."""
        limit = self._limit
        for _ in range(3):  # quotes double, and letters of other scripts take two to four bytes
            text = json.dumps(_Walk(limit).of("", payload, 0), ensure_ascii=False, separators=(",", ":"))
            encoded = text.encode("utf-8", "replace")  # lone surrogates are legal in a str and in no output
            if len(encoded) <= self._limit:
                return text if text.isascii() else encoded.decode()
            limit //= 3
        return json.dumps(_CUT)


class _Walk:
    """One pass over one payload; what it returns is made of plain values alone."""

    def __init__(self, limit: int) -> None:
        self._left = limit  # characters
        self._nodes = _MAX_NODES
        self._parse = limit * _PARSED  # characters
        self._work = limit * _BUDGET

    def of(self, key: object, value: object, depth: int) -> object:
        """Return what is shown of the value of a key."""
        self._nodes -= 1
        self._left -= 4
        try:
            if isinstance(key, str) and not mask.is_known(key) and not self._spend(len(key) * _KEY):
                return _CUT  # nobody knows whether it is a secret
            return mask.HIDDEN if mask.is_secret(key) else self._of(key, value, depth)
        except Exception:  # noqa: BLE001 - a class of the user's own, or one that another thread changes meanwhile
            return f"<unreadable {type(value).__name__}>"[:_MAX_TEXT]

    def _spend(self, ns: int) -> bool:
        """Take from what the payload may cost; False, and nothing is taken, if that is not there."""
        if ns > self._work:
            return False
        self._work -= ns
        return True

    def _of(self, key: object, value: object, depth: int) -> object:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if isinstance(value, str):
            return self._text(key, str(value), depth)
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._items(key, value, depth)
        if isinstance(value, float):
            return float(value) if abs(value) < inf else str(float(value))  # JSON has no NaN
        if isinstance(value, int):
            return mask.value("", int(value)) if value.bit_length() <= 64 else f"<{value.bit_length()} bits>"
        if isinstance(value, (bytes, bytearray)):
            return f"<{len(value)} bytes>"
        if kind.__name__ in _SHOWN and kind.__module__ in {"decimal", "datetime", "uuid"}:
            return self._plain(str(value))
        return f"<{kind.__module__}.{kind.__qualname__}>"[:_MAX_TEXT]

    def _mapping(self, value: dict[object, object], depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        if depth >= _MAX_DEPTH:
            return {_CUT: len(value)} if value else found
        named = any(mask.is_secret(value.get(name)) for name in _NAMES if name in value)
        for key, item in value.items():
            if self._left <= 0 or self._nodes <= 0:
                found[_CUT] = f"{len(value) - len(found)} more"
                break
            short = key[:_MAX_KEY] if isinstance(key, str) else str(key) if isinstance(key, (int, float)) else _CUT
            hidden = named and short in {"value", "Value"}  # a pair of name and value, of which the name is telling
            found[self._plain(short)] = mask.HIDDEN if hidden else self.of(short, item, depth + 1)
        return found

    def _items(self, key: object, value: Collection[object], depth: int) -> list[object]:
        found: list[object] = []
        if depth >= _MAX_DEPTH:
            return [f"{len(value)} more"] if value else found
        for item in value:
            if self._left <= 0 or self._nodes <= 0:
                found.append(f"{len(value) - len(found)} more")
                break
            found.append(self.of(key, item, depth + 1))
        return found

    def _text(self, key: object, value: str, depth: int) -> object:
        """Return a text, or what it is the text of."""
        if key in _ENCODED and _BASE64.fullmatch(value[: _MAX_TEXT if self._work > 0 else 64]):
            from binascii import a2b_base64

            self._work -= _MAX_TEXT * _DECODE
            named = f"<{len(value)} characters of base64>"
            if len(value) > self._parse or not self._spend(len(value) * _DECODE):
                self._left -= _NAMED
                return named
            try:
                value = a2b_base64(value).decode()
            except ValueError:
                return named
        start = value[:64].lstrip()[:1]
        if start in {"{", "["}:
            if len(value) > self._parse or not self._spend(len(value) * _JSON):
                return f"<{len(value)} characters of JSON>"
            self._parse -= len(value)
            try:
                return self.of(key, json.loads(value), depth)
            except (ValueError, RecursionError):
                return self._plain(value)
        if "=" not in value[:256] or len(value) > self._parse:
            return self._plain(value)
        if not self._spend(len(value) * _FORMS):
            return f"<{len(value)} characters>"
        return self._form(value) if _FORM.fullmatch(value) else self._plain(value)

    def _form(self, value: str) -> str:
        """Hide the values of telling keys in a query or a form."""
        pairs = value[: self._parse].split("&")[: self._nodes]
        self._parse -= len(value)
        return self._plain("&".join(
            f"{key}={mask.HIDDEN}" if mask.is_secret(key) else f"{key}{mark}{item}"
            for key, mark, item in (pair.partition("=") for pair in pairs)
        ))  # fmt: skip

    def _plain(self, value: str) -> str:
        """Return a text without secrets, cut where the budget ends; named by its size if there is none."""
        most = min(_MAX_TEXT, max(self._left, 0))
        looked_at = value[: most + _MARGIN]
        if not self._spend(len(looked_at) * _SCAN):
            return self._named(value)
        each = mask.effort(looked_at)
        if len(looked_at) * each > self._work:
            most = self._work // each - _MARGIN
            looked_at = value[: most + _MARGIN]
        if most <= 0 or not self._spend(len(looked_at) * each):
            return self._named(value)
        shown = mask.text(looked_at)
        if len(value) > most + _MARGIN or len(shown) > most:
            shown = f"{shown[:most]}{_CUT} ({len(value)} characters)"
        self._left -= len(shown) + 3
        return shown

    def _named(self, value: str) -> str:
        self._left -= _NAMED
        return f"<{len(value)} characters>"
