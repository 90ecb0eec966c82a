"""Reading what anyone may have written: each function takes any value and answers with the type it promises.

A text is cut, a number is bounded, and nothing walks a value that may be large.
"""

from __future__ import annotations

from faasight.context import MAX_HEADERS, extract, header, xray_trace_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from faasight.triggers.trigger import Trigger

    Event = Mapping[str, Any]

MAX_RECORDS = 10_000  # the largest batch of an event source mapping (SQS, Kinesis, DynamoDB, Kafka); more is not read
_MAX_TEXT = 1_024  # characters: an object's key (S3's limit in bytes); more is cut
_MAX_NS = 1 << 62  # the year 2116: what is later is no time
_DAYS_IN_MONTHS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def text(value: object) -> str:
    """Return a string, cut to 1,024 characters; "" for anything else."""
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def mapping(value: object) -> dict[str, Any]:
    """Return a dictionary, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def rows(items: object) -> list[dict[str, Any]]:
    """Return the records of a batch, one dictionary each; at most 10,000, which no event source exceeds."""
    if not isinstance(items, list):
        return []
    return [item if isinstance(item, dict) else {} for item in items[:MAX_RECORDS]]


def tail(arn: object, separator: str = ":") -> str:
    """Return what follows the last separator of an ARN."""
    return text(arn).rpartition(separator)[2]


def number(value: object) -> int:
    """Return a whole number, also out of digits in a string; 0 for anything else."""
    if isinstance(value, str):
        return int(value) if len(value) < 20 and value.isascii() and value.isdigit() else 0
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_NS else 0


def seconds(value: object) -> int:
    """Return ns since the epoch of seconds, whole or with a fraction; 0 if that is no time."""
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value * 1e9 < _MAX_NS
    return int(value * 1e9) if valid else 0  # type: ignore[operator]  # `valid` says so


def milliseconds(value: object) -> int:
    """Return ns since the epoch of ms, also as digits in a string; 0 if that is no time."""
    ns = number(value) * 1_000_000
    return ns if 0 < ns < _MAX_NS else 0


def moment(value: object) -> int:
    """Return ns since the epoch of a `datetime`, as Google's and Azure's libraries give them; 0 if it is none."""
    if not hasattr(value, "tzinfo"):
        return when(value)
    from datetime import timezone  # loaded, as there is such an object

    stamp: Any = value
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=timezone.utc)  # datetime.UTC came with 3.11, and we run on 3.10
    whole = seconds(int(stamp.timestamp()))
    return whole + stamp.microsecond * 1_000 if whole else 0


def when(value: object) -> int:
    """Return ns since the epoch of `2026-01-02T03:04:05.678Z`, 0 if it is none; `strptime` would be an import more."""
    try:
        day, _, clock = text(value)[:40].rstrip("Z").partition("T")
        year, month, date = (int(part) for part in day.split("-"))
        hour, minute, second = clock.partition("+")[0].split(":")
        leaps = (year - 1) // 4 - (year - 1) // 100 + (year - 1) // 400 - 477
        leap_day = month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        days = (year - 1970) * 365 + leaps + _DAYS_IN_MONTHS[month - 1] + date - 1 + leap_day
        ns = int((days * 86_400 + int(hour) * 3_600 + int(minute) * 60 + float(second)) * 1_000) * 1_000_000
    except (ValueError, IndexError, OverflowError):
        return 0
    return ns if 0 < ns < _MAX_NS else 0


def from_headers(trigger: Trigger, headers: object) -> None:
    """Take the context of HTTP headers: W3C's, else the trace of X-Ray's or Google's."""
    if not isinstance(headers, dict) or not 0 < len(headers) <= MAX_HEADERS:
        return
    remote = extract(headers, first)
    if remote is not None:
        trigger.parents.append(remote)
        return
    trigger.trace_id = xray_trace_id(first(header(headers, "x-amzn-trace-id"))) or google_trace_id(
        first(header(headers, "x-cloud-trace-context"))
    )


def google_trace_id(value: object) -> str:
    """Trace id of `X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1;o=1`, or ""."""
    trace_id = text(value).partition("/")[0].lower()
    return (
        trace_id if len(trace_id) == 32 and not set(trace_id) - set("0123456789abcdef") and trace_id.strip("0") else ""
    )


def first(value: object) -> object:
    """Return a header's first value where it has several."""
    return value[0] if isinstance(value, list) and value else value


def attribute(key: str) -> Callable[[Any], object]:
    """Return what unwraps a message attribute: SQS says stringValue, SNS says Value."""
    return lambda item: item.get(key) if isinstance(item, dict) else None


def from_bytes(value: object) -> object:
    """Return the text of a Kafka or RabbitMQ header, which Lambda writes as a list of byte values, signed or not."""
    if isinstance(value, list) and len(value) <= _MAX_TEXT and all(isinstance(item, int) for item in value):
        return bytes(item & 255 for item in value).decode("ascii", "replace")
    return value
