"""CloudWatch Logs subscription messages turned into parts: platform events, log lines and embedded metrics.

Format: docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html: one JSON object, gzipped, for a
forwarder function also in base64 as `{"awslogs": {"data": ...}}`.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from faasight_collector.decompress import decompress
from faasight_collector.errors import Refusal
from faasight_collector.inputs.aws_telemetry import owner_of
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.lines import Line, document, time_ns
from faasight_collector.inputs.output import add_line, add_output
from faasight_collector.inputs.platform_events import platform_line
from faasight_collector.inputs.platform_text import platform_text
from faasight_collector.parts import Part

LIMIT = 20 * 1024 * 1024  # bytes of one message, unpacked
GZIP = b"\x1f\x8b"
FORWARDER_HEADER = b"x-faasight-forwarder"  # the name of the function that forwards: its own logs are left out
_FORWARDER = "faasight-forwarder"  # what our forwarder is called unless someone names it otherwise
_LAMBDA_GROUP = "/aws/lambda/"
_EDGE_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d\.")  # Lambda@Edge puts it before the name: us-east-1.resize
# 2026/11/21/[$LATEST]0a1b..., and in a log group of its own choice 2026/11/21/checkout[7]0a1b...
_STREAM = re.compile(r"\d{4}/\d\d/\d\d/([A-Za-z0-9_-]{0,140})\[([^\]]{1,128})\]")


def to_parts(body: bytes, headers: Mapping[bytes, bytes], now_ns: int) -> Iterator[Part]:
    """Yield the parts of what a forwarder function posts: its event, or the message itself, gzipped or not.

    Raises Refusal: 400 if it is no subscription message, 413 beyond `LIMIT`.
    """
    message = _message(body)
    own = headers.get(FORWARDER_HEADER, b"").decode("latin-1")
    batch = Batch()
    yield from subscription(batch, message, owner_of(headers), own, now_ns)
    yield from batch.rest()


def _message(body: bytes) -> Mapping[str, Any]:
    found = document(unpacked(body), "the message", LIMIT)
    event = found.get("awslogs") if isinstance(found, dict) else None
    data = event.get("data") if isinstance(event, dict) else None
    if isinstance(data, str):
        try:
            packed = binascii.a2b_base64(data.encode(), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise Refusal("corrupt_base64", f"awslogs.data is not valid base64: {error}") from error
        found = document(unpacked(packed), "the message", LIMIT)
    if not is_subscription(found):
        raise Refusal("not_a_subscription", "this is no message of a CloudWatch Logs subscription: no messageType")
    message: Mapping[str, Any] = found
    return message


def unpacked(data: bytes) -> bytes:
    """Return data without its gzip, if it has one. Raises Refusal."""
    return decompress("gzip", data, LIMIT) if data.startswith(GZIP) else data


def is_subscription(found: object) -> bool:
    """Tell whether a JSON value is a message of a subscription."""
    return isinstance(found, dict) and isinstance(found.get("messageType"), str) and "logGroup" in found


def subscription(batch: Batch, message: Mapping[str, Any], sender: Line, forwarder: str, now_ns: int) -> Iterator[Part]:
    """Add a message to the batch, yielding what gets large. Raises Refusal if its events are malformed.

    `sender` are fields that the message does not have (region, environment), `forwarder` the function it came by.
    """
    if message["messageType"] != "DATA_MESSAGE":
        return  # CONTROL_MESSAGE: CloudWatch asks whether we are there
    group, stream = message.get("logGroup"), message.get("logStream")
    if not isinstance(group, str) or not isinstance(stream, str):
        raise Refusal("corrupt_json", "logGroup and logStream must be texts")
    owner, more = _owner(group, stream, message.get("owner"), sender)
    if _is_our_own(group, owner["function"], forwarder):
        return
    events = message.get("logEvents")
    if not isinstance(events, list):
        raise Refusal("corrupt_json", "logEvents must be an array")
    for position, event in enumerate(events, start=1):
        if not isinstance(event, dict) or not isinstance(event.get("message"), str):
            raise Refusal("corrupt_json", f"log event {position} has no message")
        take_message(batch, owner, event["message"], time_ns(event.get("timestamp"), now_ns), more)
        yield from batch.full()


def _owner(group: str, stream: str, account: object, sender: Line) -> tuple[Line, dict[str, str]]:
    """Return whose lines these are, and the attributes of a log group that does not say so by its name."""
    found = _STREAM.match(stream)
    by_group = _EDGE_REGION.sub("", group.removeprefix(_LAMBDA_GROUP)) if group.startswith(_LAMBDA_GROUP) else ""
    owner: Line = {
        **sender,
        "function": (found[1] if found else "") or by_group or group,
        "version": found[2] if found else "",
        "instance": stream,
    }
    if isinstance(account, str):
        owner["account"] = account
    return owner, {} if by_group else {"aws.log.group.names": group}


def _is_our_own(group: str, function: str, forwarder: str) -> bool:
    """Tell whether a line tells of this very delivery: to take it would make the next one, without end."""
    return function in {forwarder, _FORWARDER} or group.startswith("/aws/kinesisfirehose/")


def take_message(batch: Batch, owner: Line, message: str, ts: int, more: Mapping[str, str]) -> None:
    """Add what one line of a log stream says: of the platform, in text or JSON, or of the function itself."""
    told = platform_text(message, ts)
    if told is not None:
        for line in told:
            add_line(batch, owner, line)
        return
    event = _platform_event(message)
    if event is None:
        add_output(batch, owner, message, ts, more)
        return
    kind = event["type"]
    line = platform_line(kind, event.get("record"), time_ns(event.get("time"), ts))
    add_line(batch, owner, {**line, "function": ""} if owner.get("function") else line)


def _platform_event(message: str) -> dict[str, Any] | None:
    """Return an event of the platform in the JSON log format: {"time", "type": "platform.report", "record"}."""
    if not message.startswith("{") or '"platform.' not in message:
        return None
    try:
        found = document(message.encode(), "the line")
    except (Refusal, UnicodeEncodeError):
        return None
    is_event = isinstance(found, dict) and isinstance(found.get("record"), (dict, str))
    kind = found.get("type") if is_event else None
    return found if isinstance(kind, str) and kind.startswith("platform.") else None
