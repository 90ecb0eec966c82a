"""Batches of the AWS Lambda Telemetry API turned into parts: log lines, platform events and embedded metrics.

Event types and fields: docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html.
"""

from collections.abc import Iterator, Mapping

from faasight_collector.errors import Refusal
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.lines import Line, document, text, time_ns
from faasight_collector.inputs.output import add_line, add_output
from faasight_collector.inputs.platform_events import dropped_line, platform_line
from faasight_collector.inputs.platform_text import is_platform_text
from faasight_collector.parts import Part

# Who posts the batch says whose sandbox it sits in: most events do not name their function.
_HEADERS = {
    b"x-faasight-function": "function",
    b"x-faasight-version": "version",
    b"x-faasight-account": "account",
    b"x-faasight-region": "region",
    b"x-faasight-environment": "environment",
    b"x-faasight-instance": "instance",
}
_DIGITS = 10  # of a memory size in MB; more is no size


def to_parts(body: bytes, headers: Mapping[bytes, bytes], now_ns: int) -> Iterator[Part]:
    """Yield the parts of a batch. Raises Refusal (400) if it is no array of events, 413 if it is larger than AWS's."""
    events = document(body, "the batch")
    if not isinstance(events, list):
        raise Refusal("corrupt_json", "the batch is not a JSON array of events")
    owner = owner_of(headers)
    batch = Batch()
    for position, event in enumerate(events, start=1):
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise Refusal("corrupt_json", f"event {position} is not an object with a type")
        _take(batch, owner, event, now_ns)
        yield from batch.full()
    yield from batch.rest()


def owner_of(headers: Mapping[bytes, bytes]) -> Line:
    """Return the fields that a sender's headers give to all its lines."""
    owner: Line = {name: headers[header].decode("latin-1") for header, name in _HEADERS.items() if header in headers}
    memory = headers.get(b"x-faasight-memory-mb", b"")
    if memory.isdigit() and len(memory) < _DIGITS:
        owner["memory_mb"] = int(memory)
    return owner


def _take(batch: Batch, owner: Line, event: Mapping[str, object], now_ns: int) -> None:
    kind, record, ts = str(event["type"]), event.get("record"), time_ns(event.get("time"), now_ns)
    if kind in {"function", "extension"}:
        if not is_platform_text(text(record) if isinstance(record, str) else ""):
            add_output(batch, owner, record, ts, {"aws.log.type": "extension"} if kind == "extension" else None)
    else:
        line = platform_line(kind, record, ts)
        if owner.get("function"):
            line["function"] = ""  # whoever posts it knows better
        add_line(batch, owner, line)
        if kind == "platform.logsDropped":
            add_line(batch, owner, dropped_line(record, ts))
