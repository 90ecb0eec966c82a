"""What every channel promises to the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from faasight_alerts.message import Message


class Verdict(StrEnum):
    """What the other side said."""

    SENT = "sent"
    LATER = "later"  # busy, broken or unreachable: the same message may pass later
    REFUSED = "refused"  # it will not take messages until somebody repairs something


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one sending. `detail` holds no secret; `wait_s` is what the other side asked for."""

    verdict: Verdict
    detail: str = ""
    wait_s: float | None = None


class Channel(Protocol):
    """A destination. `send` never raises for what the other side, or the network, does."""

    @property
    def name(self) -> str:
        """What deliveries are recorded under; it stays the same when the address changes."""

    @property
    def most(self) -> int:
        """How many messages go into one sending."""

    def send(self, messages: Sequence[Message]) -> Answer:
        """Send all of them as one."""
