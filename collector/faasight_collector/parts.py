"""What a request becomes when its input is not OTLP: parts for several signals, answered when all are safe."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from faasight_collector.errors import Refusal, overloaded

WINDOW = 8 * 1024 * 1024  # bytes of one request that may wait for the disk; a stream of parts pauses beyond it
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Part:
    """A journal payload of one signal.

    `key` names it in place of its bytes: the same key again is the same part, whatever the bytes (a time of receipt
    may be in them). With a `reason`, the payload is what could not be read, and goes to the dead letters.
    """

    signal: str
    payload: bytes
    key: bytes | None = None
    reason: str = ""


class Taker(Protocol):
    """What takes parts; `Intake` is one."""

    def accept(
        self, signal: str, payload: bytes, done: Callable[[Refusal | None], None], key: bytes | None = None
    ) -> None:
        """Make a payload safe and call `done`, at once or later."""

    def bury(self, part: Part) -> None:
        """Keep a part that cannot be read. Raises Refusal when there is no room."""


class Delivery:
    """Hands the parts of one request on, and calls `finish` once: with None when all are safe, else with the refusal.

    A request that is refused half-way may be sent again: its key or its bytes tell the parts that are safe already.
    """

    def __init__(self, taker: Taker, finish: Callable[[Refusal | None], None], *, patient: bool) -> None:
        self._taker = taker
        self._finish = finish
        self._patient = patient  # whether `add` may wait for the disk: never on the event loop
        self._changed = threading.Condition()
        self._waiting_parts = 1  # the request itself, until `close`
        self._waiting_bytes = 0
        self._refusal: Refusal | None = None

    def add(self, part: Part) -> None:
        """Hand one part on. Raises the Refusal of an earlier part, or of this one if it cannot be kept at all.

        Whatever it raises, the request ends with `close`, to which the caller gives the reason.
        """
        size = len(part.payload)
        with self._changed:
            if self._patient and not self._changed.wait_for(lambda: self._has_room(size), _PATIENCE_S):
                raise overloaded("busy", "the journal's disk does not keep up")
            if self._refusal is not None:
                raise self._refusal
            self._waiting_parts += 1
            self._waiting_bytes += size

        def done(refusal: Refusal | None) -> None:
            self._settle(size, refusal)

        try:
            if part.reason:
                self._taker.bury(part)
                done(None)
            else:
                self._taker.accept(part.signal, part.payload, done, part.key)
        except Refusal as refusal:
            done(refusal)
        except Exception:  # a fault of ours, told by whoever closes; the request must not wait for this part
            self._settle(size, None)
            raise

    def _has_room(self, size: int) -> bool:
        return self._refusal is not None or not self._waiting_bytes or self._waiting_bytes + size <= WINDOW

    def close(self, refusal: Refusal | None = None) -> None:
        """Say that no part follows, and why if the request could not be read to its end."""
        self._settle(0, refusal)

    def _settle(self, size: int, refusal: Refusal | None) -> None:
        with self._changed:
            self._waiting_parts -= 1
            self._waiting_bytes -= size
            self._refusal = self._refusal or refusal
            last = self._waiting_parts == 0
            self._changed.notify_all()
        if last:
            self._finish(self._refusal)
