"""The language of log search, turned into SQL whose values are all bound.

    level:error -path:/health duration_ms:>500 function:pay* "free text" request_id:abc

Terms stand side by side and must all hold; `-` before a term turns it round. `field:value` compares a field or an
attribute, `*` in a value stands for anything, `field:>5` (also >=, <, <=) compares numbers, `field:*` asks that it be
there, `field:"a b"` takes spaces. A bare word or a "phrase" is looked for in the message, whatever its case.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from faasight_store.errors import QueryError
from faasight_store.queries.merged import Sql

MOST_TERMS = 30
MOST_CHARACTERS = 2000
_COLUMNS = {
    "function": "function", "service": "function", "message": "message", "request_id": "request_id", "logger": "logger",
    "version": "version", "instance": "instance", "environment": "environment",
}  # fmt: skip
_IDS = {"trace_id": 32, "span_id": 16}
_LEVELS = {
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARN",
    "warning": "WARN",
    "error": "ERROR",
    "fatal": "FATAL",
    "critical": "FATAL",
}
_ORDER = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_FIELD = re.compile(r"[A-Za-z_@][\w.@/-]*\Z")
_COMPARISON = re.compile(r"(>=|<=|>|<)(.+)\Z", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?\Z")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition as it was written."""

    at: int  # where it begins, from 0
    negated: bool
    field: str  # "" for free text
    value: str
    quoted: bool


def to_sql(query: str) -> Sql:
    """Return the condition of a search; raises QueryError, which names the place of the fault."""
    if len(query) > MOST_CHARACTERS:
        raise QueryError(f"The search is longer than {MOST_CHARACTERS} characters.", MOST_CHARACTERS)
    terms = list(parse(query))
    if len(terms) > MOST_TERMS:
        raise QueryError(f"The search has more than {MOST_TERMS} terms.", terms[MOST_TERMS].at)
    bound = _Bound()
    parts = [_condition(term, bound) for term in terms]
    return Sql(" AND ".join(parts) or "1", bound.parameters)


def parse(query: str) -> Iterator[Term]:
    """Yield the terms of a search."""
    at = 0
    while at < len(query):
        if query[at].isspace():
            at += 1
            continue
        term, at = _term(query, at)
        yield term


class _Bound:
    """Values on their way to the server, each under a name of ours."""

    def __init__(self) -> None:
        self.parameters: dict[str, str | float] = {}

    def text(self, value: str) -> str:
        return self._add(value, "String")

    def number(self, value: float) -> str:
        return self._add(value, "Float64")

    def _add(self, value: str | float, kind: str) -> str:
        name = f"q{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"


def _term(query: str, start: int) -> tuple[Term, int]:
    at, negated = start, query[start] == "-"
    if negated:
        at += 1
        if at == len(query) or query[at].isspace():
            raise _fault(query, start, "a '-' must stand right before what it turns round")
    if query[at] == '"':
        value, at = _phrase(query, at)
        return Term(start, negated, "", value, quoted=True), at
    word = re.compile(r'[^\s":]*').match(query, at)
    field = word.group(0) if word else ""
    end = at + len(field)
    if end < len(query) and query[end] == ":" and _FIELD.match(field):
        value, at, quoted = _value(query, end + 1)
        return Term(start, negated, field, value, quoted), at
    value, at, _ = _value(query, at)
    return Term(start, negated, "", value, quoted=False), at


def _value(query: str, at: int) -> tuple[str, int, bool]:
    if at < len(query) and query[at] == '"':
        return *_phrase(query, at), True
    end = at
    while end < len(query) and not query[end].isspace():
        end += 1
    if end == at:
        raise _fault(query, at, "a value is missing here")
    return query[at:end], end, False


def _phrase(query: str, start: int) -> tuple[str, int]:
    r"""Read a phrase in quotes; `\"` and `\\` stand for themselves."""
    out, at = [], start + 1
    while at < len(query):
        if query[at] == "\\" and at + 1 < len(query):
            out.append(query[at + 1])
            at += 2
        elif query[at] == '"':
            return "".join(out), at + 1
        else:
            out.append(query[at])
            at += 1
    raise _fault(query, start, "this quote is not closed")


def _condition(term: Term, bound: _Bound) -> str:
    if not term.field:
        text = f"positionCaseInsensitiveUTF8(message, {bound.text(term.value)}) > 0"
    elif term.field == "level":
        text = _level(term, bound)
    elif term.field in _IDS:
        text = _id(term, bound)
    else:
        text = _field(term, bound)
    return f"NOT ({text})" if term.negated else f"({text})"


def _level(term: Term, bound: _Bound) -> str:
    match = None if term.quoted else _COMPARISON.match(term.value)
    name = (match.group(2) if match else term.value).lower()
    if name not in _LEVELS:
        raise QueryError(
            f"There is no level {name!r} (at character {term.at + 1}); use one of {', '.join(_ORDER).lower()}.",
            term.at,
        )
    place = _ORDER.index(_LEVELS[name])
    chosen = {">": _ORDER[place + 1 :], ">=": _ORDER[place:], "<": _ORDER[:place], "<=": _ORDER[: place + 1]}
    levels = chosen[match.group(1)] if match else (_LEVELS[name],)
    return f"level IN ({', '.join(bound.text(level) for level in levels)})" if levels else "0"


def _id(term: Term, bound: _Bound) -> str:
    length = _IDS[term.field]
    if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", term.value):
        raise QueryError(
            f"A {term.field} is {length} hexadecimal digits, not {term.value!r} (at character {term.at + 1}).",
            term.at,
        )
    return f"{term.field} = unhex({bound.text(term.value)})"


def _field(term: Term, bound: _Bound) -> str:
    column = _COLUMNS.get(term.field) or f"attributes[{bound.text(term.field)}]"
    if not term.quoted:
        if term.value == "*":
            return f"{column} != ''"
        match = _COMPARISON.match(term.value)
        if match:
            return _comparison(term, column, match.group(1), match.group(2), bound)
        if "*" in term.value:
            return f"{column} ILIKE {bound.text(_like(term.value))}"
    if term.field == "message":
        return f"positionCaseInsensitiveUTF8(message, {bound.text(term.value)}) > 0"
    return f"{column} = {bound.text(term.value)}"


def _comparison(term: Term, column: str, operator: str, number: str, bound: _Bound) -> str:
    if not _NUMBER.match(number):
        raise QueryError(
            f"{term.field}:{operator} needs a number, not {number!r} (at character {term.at + 1}).", term.at
        )
    return f"ifNull(toFloat64OrNull({column}) {operator} {bound.number(float(number))}, 0)"


def _like(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def _fault(query: str, at: int, what: str) -> QueryError:
    near = query[at : at + 20]
    return QueryError(
        f"The search cannot be understood at character {at + 1}{f', near {near!r}' if near else ''}: {what}.",
        at,
    )
