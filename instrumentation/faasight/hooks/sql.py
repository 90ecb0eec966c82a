"""What an SQL statement does and to which table, and its text without values: by its words, never by its data.

A scanner and no parser: it goes from word to word and knows what a string, a number and a comment are. Where it cannot
be sure (a backslash in a string ends it in one dialect and not in another) it says no more than it knows by then.
"""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH = 2_000  # characters of a statement that are looked at
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<string>'(?:[^'\\]|'')*(?:'|\Z)|\$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<quoted>"(?:[^"\\]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]\d'"][^\]'"]*\])
    |(?P<place>%s|%\(\w+\)s|\$\d+|:\w+|\?)
    |(?P<number>0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)*)
    |(?P<unsure>['"\\])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BEFORE_TABLE = frozenset({"FROM", "INTO", "UPDATE", "JOIN", "TABLE"})
_BETWEEN = frozenset({"IF", "NOT", "EXISTS", "ONLY", "LATERAL", "IGNORE", "LOW_PRIORITY"})


@lru_cache(256)
def target(statement: str, double_quotes: bool = True) -> tuple[str, str]:
    """Return (operation, table): ("SELECT", "shop.orders"); "" for what is not known.

    `double_quotes`: whether they make a name, as the standard has it, and not a string (MySQL).
    """
    operation, expected = "", False
    for kind, text in _tokens(statement, double_quotes):
        if kind == "space" or (text == "(" and not operation):
            continue
        word = text.upper() if kind == "word" else ""
        if not operation:
            if not word:
                return "", ""
            operation = word
            expected = word in _BEFORE_TABLE
        elif expected and word in _BETWEEN:
            continue
        elif expected and (word or (kind == "quoted" and (text[0] != '"' or double_quotes))):
            return operation, text.strip('"`[]')
        else:
            expected = word in _BEFORE_TABLE
    return operation, ""


@lru_cache(256)
def without_values(statement: str, double_quotes: bool = True) -> str:
    """Return the text with `?` for each value and without comments; "" from where it is not sure."""
    parts = []
    for kind, text in _tokens(statement, double_quotes):
        if kind == "space":
            parts.append(" ")
        else:
            value = kind in {"string", "number"} or (text[0] == '"' and not double_quotes)
            parts.append("?" if value else text)
    return "".join(parts).strip()


def _tokens(statement: str, standard: bool) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(statement[:MAX_LENGTH]):
        kind, text = match.lastgroup or "other", match.group()
        if kind == "unsure" or (kind == "space" and _may_be_no_comment(text, standard)):
            return
        if kind in {"quoted", "word"} and match.end() == MAX_LENGTH:
            return  # cut in its middle: half a name says something else
        yield "string" if kind == "tag" else kind, text


def _may_be_no_comment(text: str, standard: bool) -> bool:
    """`#` is an operator in PostgreSQL, `5--3` a difference in MySQL, and some have comments within comments."""
    operator = text.startswith("#") if standard else text.startswith("--") and not text[2:3].isspace()
    return operator or "/*" in text[2:]
