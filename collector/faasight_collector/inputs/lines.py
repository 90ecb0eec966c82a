"""Lines of the `records` signal: the one shape that logs and platform events are given (docs/design/wire.md)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from faasight_collector.brackets import check_brackets
from faasight_collector.errors import Refusal

SEVERITY = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "FATAL": 21,
    "CRITICAL": 21,
}
_LEVEL = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_NEWEST_NS = (1 << 63) - 1

MAX_DOCUMENT = 4 * 1024 * 1024  # bytes of one JSON document; many lines may be more
MAX_BRACKETS = 400_000  # of one document

Line = dict[str, Any]


def level_fields(name: object) -> Line:
    """Return `level` and `severity` of a level's name; INFO if it is not known."""
    level = name.upper() if isinstance(name, str) else "INFO"
    if level not in SEVERITY:
        level = "INFO"
    return {"level": _LEVEL.get(level, level), "severity": SEVERITY[level]}


def time_ns(value: object, now_ns: int) -> int:
    """Return Unix nanoseconds of an RFC 3339 text or of a number in s, ms, us or ns; `now_ns` for all else."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return now_ns
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        ns = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
        return ns if 0 < ns <= _NEWEST_NS else now_ns  # the year 9999 says "no time", and fits in no column
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= _NEWEST_NS:
        scale = next(
            scale for top, scale in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (float("inf"), 1)) if value < top
        )
        return min(int(value * scale), _NEWEST_NS)
    return now_ns


def text(value: object) -> str:
    """Return any JSON value as text: strings as they are, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # nested deeper than it writes
        return _deep_text(value)


def _deep_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deep to be kept)"  # one field is lost, and not the batch


def document(raw: bytes, where: str, limit: int = MAX_DOCUMENT) -> Any:  # noqa: ANN401  # JSON
    """Return what a JSON text says, within bounds of memory. Raises Refusal: 413 beyond them, 400 if it is no JSON."""
    if len(raw) > limit:
        raise Refusal("too_large", f"{where} is larger than {limit} bytes", http=413)
    check_brackets(raw, where, MAX_BRACKETS)
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise Refusal("corrupt_json", f"{where} is not valid JSON: {error}") from error


def attributes(document: Mapping[str, Any], without: frozenset[str]) -> dict[str, str]:
    """Return all other keys of a document as texts; null is left out."""
    return {key: text(value) for key, value in document.items() if key not in without and value is not None}


def number(value: object) -> float | None:
    """Return a JSON number, or None for anything else."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def encode(lines: list[Line]) -> bytes:
    """Return lines of JSON, each ending in a newline; keys without a value are left out."""
    return b"".join(
        [
            orjson.dumps({key: value for key, value in line.items() if value not in (None, "", {})}) + b"\n"
            for line in lines
        ]
    )
