"""Tumbling windows of streams: records gathered by the time of their arrival, with a state that a function hands on.

Source: Lambda developer guide, "Implementing stateful streaming processing with tumbling windows".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from faasight_emulator.sources.shards import Record, Shard

_MAX_STATE = 1024 * 1024  # bytes, after which Lambda ends a window early


@dataclass(slots=True)
class Window:
    """One window of a shard. `start` and `size` are in seconds, `state` is what the function answered last."""

    start: int
    size: int
    shard: Shard
    state: Any = field(default_factory=dict)
    early: bool = False

    @property
    def end(self) -> int:
        """When it ends, in seconds since 1970."""
        return self.start + self.size

    def event(self, *, final: bool) -> Mapping[str, Any]:
        """Return what an event has besides its records."""
        return {
            "window": {"start": _text(self.start), "end": _text(self.end)},
            "state": self.state,
            "shardId": self.shard.id,
            "eventSourceARN": self.shard.stream_arn,
            "isFinalInvokeForWindow": final,
            "isWindowTerminatedEarly": self.early,
        }

    def take(self, payload: bytes) -> None:
        """Keep the state of an answer; one that has none, or is no object, leaves an empty one."""
        try:
            answer = json.loads(payload) if payload else None
        except ValueError:
            answer = None
        self.state = (answer.get("state") if isinstance(answer, dict) else None) or {}
        self.early = len(json.dumps(self.state)) > _MAX_STATE


def by_window(records: Sequence[Record], size: int) -> Iterator[tuple[int, list[Record]]]:
    """Return records in order, with the start of the window that each run of them is in."""
    for start, its in groupby(records, key=lambda one: int(one.arrival) // size * size):
        yield start, list(its)


def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
