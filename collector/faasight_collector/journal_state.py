"""What the journal holds in memory: records that wait for the disk, segments that wait for the store."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from faasight_collector.errors import Refusal
from faasight_collector.segments import SIGNALS, Segment

Done = Callable[[Refusal | None], None]  # called once: with None when the record is safe, else with what to answer


@dataclass(slots=True)
class Entry:
    """A record that waits for its commit."""

    signal: str
    payload: bytes
    done: Done
    key: bytes | None = None  # names the record in place of its bytes
    name: bytes = b""  # the digest of either


@dataclass(slots=True)
class Usage:
    """What the journal holds on disk, in bytes."""

    pending: int = 0  # accepted and not yet in the store
    kept: int = 0  # in the store already
    dead_letters: int = 0  # refused by the store for good


@dataclass(slots=True)
class State:
    """Everything that both the commit thread and others touch, under the journal's lock."""

    queue: list[Entry] = field(default_factory=list)
    queued_bytes: int = 0
    usage: Usage = field(default_factory=Usage)
    sealed: dict[str, deque[Segment]] = field(default_factory=lambda: {signal: deque() for signal in SIGNALS})
    replays: dict[str, deque[Segment]] = field(default_factory=lambda: {signal: deque() for signal in SIGNALS})
    kept: deque[tuple[float, Segment]] = field(default_factory=deque)  # (shipped at, segment), oldest first
    closing: bool = False
    seal_now: bool = False
    disk_free: int = 1 << 62
