"""JSON logs: newline-delimited JSON or an array of objects, with metrics embedded in it, turned into parts."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

from faasight_collector.errors import Refusal
from faasight_collector.inputs.aws_telemetry import owner_of
from faasight_collector.inputs.batch import Batch
from faasight_collector.inputs.lines import document
from faasight_collector.inputs.output import add_output
from faasight_collector.parts import Part


def to_parts(body: bytes, headers: Mapping[bytes, bytes], now_ns: int) -> Iterator[Part]:
    """Yield the parts of a body; fields that a line lacks are the headers'. Raises Refusal (400, 413)."""
    owner = owner_of(headers)
    batch = Batch()
    for found in _documents(body):
        add_output(batch, owner, found, now_ns)
        yield from batch.full()
    yield from batch.rest()


def _documents(body: bytes) -> Iterator[Mapping[str, Any]]:
    if body.lstrip()[:1] == b"[":
        yield from _checked(document(body, "the array"))
        return
    for position, raw in enumerate(io.BytesIO(body), start=1):
        if raw.strip():
            yield from _checked([document(raw, f"line {position}")])


def _checked(found: object) -> Iterator[Mapping[str, Any]]:
    for position, item in enumerate(found if isinstance(found, list) else [found], start=1):
        if not isinstance(item, dict):
            raise Refusal("corrupt_json", f"log record {position} is not a JSON object")
        yield item
