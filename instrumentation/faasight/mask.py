"""Secrets never leave the function: they are hidden in error texts, log lines and the user's attributes.

A value is hidden by its key (`password`, `api_key`, FAASIGHT_MASK_KEYS) or, in any text, by what it looks like. A rule
is tried only on a text that holds one of its hints, and compiled only then: most texts cost some substring searches.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from re import Match, Pattern
    from typing import Any

HIDDEN = "***"
_MAX = 65_536  # characters that are looked at; the rest is cut off, for nobody would send as much
_MAX_DEPTH = 8
_MAX_ITEMS = 1_000
_LONG = 10**12  # a whole number of 13 digits may be a card's
_NAMES = (
    r"passwo?r?d|passphrase|passwd|pwd|secret|authorization|cookie|credential|"
    r"private[-_. ]?key|api[-_. ]?key|access[-_. ]?key|account[-_. ]?key|client[-_. ]?assertion|jwt|"
    r"(?:auth|access|refresh|id|session|security|bearer|csrf|api)[-_. ]?token"
)
_WHOLE_NAMES = frozenset({"token", "auth", "sid", "pin", "cvv", "cvc", "ssn", "otp", "pan", "email", "card_number"})


class _Rule:
    """One kind of secret."""

    __slots__ = ("_pattern", "_put", "_source", "hints", "ns")

    def __init__(
        self, hints: tuple[str, ...], source: str, put: str | Callable[[Match[str]], str] = HIDDEN, ns: int = 20
    ) -> None:
        self.hints = hints  # lower case; a text without any of them cannot hold it
        self.ns = ns  # CPU for a character of the dearest text that was found
        self._source = source
        self._put = put
        self._pattern: Pattern[str] | None = None

    def hide(self, text: str) -> str:
        if self._pattern is None:
            self._pattern = re.compile(self._source)
        return self._pattern.sub(self._put, text)


def _card(match: Match[str]) -> str:
    """Hide a number only if its check digit fits (Luhn, ISO/IEC 7812-1): most long numbers are no cards."""
    digits = [int(c) for c in match[0] if c.isdigit()]
    doubled = [d if i % 2 == 0 else d * 2 - 9 if d > 4 else d * 2 for i, d in enumerate(reversed(digits))]
    return match[0] if sum(doubled) % 10 else HIDDEN


# Quantifiers are bounded, or over what the following character is not in: each rule is linear in the text.
_RULES = (
    _Rule(("-----begin",), r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?s:.*?)(?:-----END [A-Z ]{0,40}-----|\Z)"),
    _Rule(("://",), r"(?<=://)[^\s/?#@\"'<>]{1,256}:[^\s\"'<>]{0,512}@|(?<=://)[^\s/?#@\"'<>]{1,512}@", HIDDEN + "@"),
    _Rule(("?",), r"\?[\w.%~$\[\]-]{1,128}=[^\s\"'<>)]*", "?" + HIDDEN),
    _Rule(("hooks.slack.com/",), r"(?<=hooks\.slack\.com/)[^\s\"'<>]+"),
    _Rule(("bearer", "basic"), r"(?i:\b(bearer|basic)\s{1,4})[\w.~+/=-]{6,}", rf"\1 {HIDDEN}", 35),
    _Rule(
        ("pass", "pwd", "secret", "token", "authorization", "cookie", "credential", "key", "jwt", "assertion"),
        rf"""(?i:((?:{_NAMES}|\btoken\b)[\w.-]{{0,24}}\\?["']?\s{{0,4}}(?:=>|[=:])\s{{0,4}}))"""
        r"""(?!["']?(?:\*\*\*|[Bb]earer|[Bb]asic)\b)(?:\\"[^"\\]*(?:\\")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s"'&,;)}\]]+)""",
        rf"\1{HIDDEN}",
        280,
    ),
    _Rule(
        ("</",),  # XML
        rf"(?i:(<[\w.:-]{{0,48}}(?:(?:{_NAMES})[\w.-]{{0,24}}|\b(?:token|pin|cvv|cvc|ssn|otp))(?:\s[^<>]{{0,256}})?>))"
        r"(?!</)(?:<!\[CDATA\[)?[^<]+",
        rf"\1{HIDDEN}",
    ),
    _Rule(("akia", "asia", "abia", "acca"), r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    _Rule(
        ("aws", "key", "secret", "credential", "akia", "asia"),
        r"(?<![\w/+=])(?=[^\s]{0,39}[a-z])(?=[^\s]{0,39}[A-Z])(?=[^\s]{0,39}\d)[A-Za-z0-9/+]{40}(?![\w/+=])",
        ns=80,
    ),
    _Rule(("eyj",), r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"),
    _Rule(
        (
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "glpat-",
            "xox",
            "sk_",
            "rk_",
            "sk-",
            "aiza",
            "sg.",
            "npm_",
            "pypi-",
        ),
        r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|[sr]k_(?:live|test)_\w{8,}"
        r"|sk-[\w-]{20,}|AIza[\w-]{30,}|SG\.[\w-]{10,}\.[\w-]{10,}|npm_\w{30,}|pypi-[\w-]{30,})",
    ),
    _Rule(("@",), r"(?<![\w.+%-])[\w.+%-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,8}", ns=30),
)
_HINTS = tuple({hint: None for rule in _RULES for hint in rule.hints})
_MANY_DIGITS = re.compile(r"\d(?:[ -]?\d){12}")
_DIGITS = _Rule((), r"(?<![\w.-])[3-6]\d(?:[ -]?\d){11,17}(?![\w-])", _card, 165)

_on = True
_more: frozenset[str] = frozenset()
_known: dict[str, bool] = {}  # keys that were looked at; programs have few
_clean: dict[str, None] = {}  # short texts without a secret: messages and paths come again and again
_MAX_CLEAN, _MAX_CLEAN_TEXT = 256, 128


def configure(on: bool, keys: Iterable[str]) -> None:
    """Set what FAASIGHT_MASK and FAASIGHT_MASK_KEYS say."""
    global _on, _more
    _on, _more = on, frozenset(_plain(key) for key in keys)
    _known.clear()
    _clean.clear()


def text(value: str) -> str:
    """Return a text without the secrets that are in it; at most 65,536 characters of it."""
    if not _on or (type(value) is str and value in _clean):
        return value
    if len(value) > _MAX:
        value = value[:_MAX]
    low = value.lower()
    found = value
    for hint in _HINTS:
        if hint in low:
            found = _by_rules(value, low)
            break
    if len(found) > 12 and _MANY_DIGITS.search(found):
        return _DIGITS.hide(found)
    if found is value and len(value) <= _MAX_CLEAN_TEXT and type(value) is str:
        if len(_clean) >= _MAX_CLEAN:
            _clean.clear()
        _clean[value] = None
    return found


def effort(value: str) -> int:
    """Return the CPU that `text` takes for each character of such a text at most, in ns of the machine it was tried on.

    It takes a tenth of that where there is work to do.
    """
    low = value.lower()
    ns = _DIGITS.ns if len(value) > 12 and _MANY_DIGITS.search(value) else 0
    for hint in _HINTS:
        if hint in low:
            return ns + sum(rule.ns for rule in _RULES if any(hint in low for hint in rule.hints))
    return ns


def is_known(key: str) -> bool:
    """Whether a key was looked at before, and is remembered."""
    return key in _known


def _by_rules(value: str, low: str) -> str:
    for rule in _RULES:
        if any(hint in low for hint in rule.hints):
            value = rule.hide(value)
    return value


def is_secret(key: object) -> bool:
    """Whether the values of this key are hidden, whatever they are."""
    if not _on or not isinstance(key, str):
        return False
    secret = _known.get(key)
    if secret is None:
        plain = _plain(key)
        last = re.split(r"[-_. ]", key.lower())[-1]
        secret = plain in _more or last in _WHOLE_NAMES or key.lower() in _WHOLE_NAMES
        secret = secret or re.search(_NAMES, key, re.IGNORECASE) is not None
        if len(_known) < _MAX_ITEMS:
            _known[key] = secret
    return secret


def value(key: object, given: Any) -> Any:  # noqa: ANN401 - an attribute may hold anything
    """Return a value of `key` without secrets; of containers 1,000 items at most, to a depth of 8. It never raises."""
    kind = type(given)
    if not _on or given is None or kind is bool or kind is float:
        return given
    try:
        if kind is int and -_LONG < given < _LONG and _known.get(key) is False:  # type: ignore[call-overload]
            return given
        return _value(key, given, 0, [_MAX_ITEMS])
    except Exception:  # noqa: BLE001 - a user's own class of str or dict may raise anything
        return HIDDEN


def _value(key: object, given: Any, depth: int, left: list[int]) -> object:  # noqa: ANN401
    if given is None or isinstance(given, (bool, float)):
        return given
    if is_secret(key):
        return HIDDEN
    if isinstance(given, str):
        return text(given)
    if isinstance(given, int):
        return HIDDEN if _LONG <= given < 10**19 and text(str(given)) == HIDDEN else given
    if not isinstance(given, (dict, list, tuple)):
        return given  # its text is looked at when it is made
    left[0] -= len(given)
    if depth >= _MAX_DEPTH or left[0] < 0:
        return "..."
    if isinstance(given, dict):
        return {name: _value(name, item, depth + 1, left) for name, item in given.items()}
    items = [_value(key, item, depth + 1, left) for item in given]
    return items if isinstance(given, list) else tuple(items)


def _plain(key: str) -> str:
    return "".join(c for c in key.lower() if c.isalnum())
