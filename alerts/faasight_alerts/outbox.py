"""Brings queued messages to their channels: at least once, in order, and never silently lost.

A message is done only when its channel said yes. A busy or broken destination pauses as a whole: the queue waits in the
store, and goes on from where it stood, also after a restart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from faasight_store.connection import Store
from faasight_store.queries import alerts as stored
from faasight_store.queries.alerts import AlertChange, AlertDelivery

from faasight_alerts.channels.channel import Answer, Channel, Verdict
from faasight_alerts.message import Message
from faasight_alerts.meters import Meters
from faasight_alerts.own import MOST_FAILURES
from faasight_alerts.record import message

log = structlog.get_logger("faasight.alerts")

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_PROBE_S = 300.0  # how often a destination that refuses is tried again
_PACE_S = 1.0  # Slack takes one message a second for each webhook


@dataclass(slots=True)
class Destination:
    """How a channel does."""

    channel: Channel
    not_before: datetime | None = None
    failures: int = 0  # in a row
    broken: str = ""  # what it said when it refused; "" while it works
    unrecorded: list[AlertDelivery] = field(default_factory=list)  # sent, and the store does not know yet


class Outbox:
    """The queues of all channels."""

    def __init__(
        self, store: Store, channels: Sequence[Channel], jitter: Callable[[], float], meters: Meters | None = None
    ) -> None:
        """`jitter` returns 0 to 1, and spreads retries of several senders."""
        self._meters = meters or Meters()
        self._store = store
        self._jitter = jitter
        self.destinations = {channel.name: Destination(channel) for channel in channels}

    @property
    def failing(self) -> dict[str, int]:
        """Failures in a row of the channels that fail; a refusal counts as enough for people to hear of it."""
        found = {name: (MOST_FAILURES if to.broken else to.failures) for name, to in self.destinations.items()}
        return {name: count for name, count in found.items() if count}

    def wait_s(self, now: datetime, idle_s: float) -> float:
        """Return how long nothing can be sent, at most `idle_s`."""
        pauses = [(to.not_before - now).total_seconds() for to in self.destinations.values() if to.not_before]
        return min([idle_s, *(pause for pause in pauses if pause > 0)])

    def shout(self, told: Message) -> bool:
        """Send past the queue, which is in a store that cannot be reached; tell whether anybody heard it."""
        answers = [self._send(to.channel, [told]) for to in self.destinations.values()]
        return any(answer.verdict is Verdict.SENT for answer in answers)

    def deliver(self, now: datetime) -> int:
        """Send what is due, once for each channel; return how many messages went out. Raises what the store raises."""
        return sum(self._deliver(destination, now) for destination in self.destinations.values())

    def _deliver(self, destination: Destination, now: datetime) -> int:
        if destination.not_before and now < destination.not_before:
            return 0
        self._record(destination)  # else a store that fails would make us say the same thing again and again
        channel = destination.channel
        rows = stored.queued(self._store, channel.name, now, channel.most)
        if not rows:
            return 0
        answer = self._send(channel, [message(row) for row in rows])
        self._judge(destination, answer, rows, now)
        return len(rows) if answer.verdict is Verdict.SENT else 0

    def _send(self, channel: Channel, messages: Sequence[Message]) -> Answer:
        with self._meters.send_seconds.labels(channel.name).time():
            answer = channel.send(messages)
        self._meters.messages.labels(channel.name, answer.verdict.value).inc(len(messages))
        return answer

    def _judge(self, destination: Destination, answer: Answer, rows: Sequence[AlertChange], now: datetime) -> None:
        name = destination.channel.name
        if answer.verdict is Verdict.SENT:
            destination.failures, destination.broken = 0, ""
            destination.not_before = now + timedelta(seconds=_PACE_S)
            destination.unrecorded = [AlertDelivery(row.id, name, now, stored.SENT) for row in rows]
            self._record(destination)
            return
        destination.failures += 1
        if answer.verdict is Verdict.REFUSED:
            if not destination.broken:
                log.error(
                    "alert destination is broken: repair it", channel=name, answer=answer.detail, queued=len(rows)
                )
                stored.record_deliveries(
                    self._store, [AlertDelivery(row.id, name, now, stored.BROKEN, answer.detail) for row in rows]
                )
            destination.broken = answer.detail
            wait_s = _PROBE_S
        else:
            wait_s = answer.wait_s if answer.wait_s is not None else self._backoff(destination.failures)
            log.warning("alert message must wait", channel=name, answer=answer.detail, wait_s=round(wait_s, 1))
        destination.not_before = now + timedelta(seconds=wait_s)

    def _backoff(self, failures: int) -> float:
        longest = min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 10), _LONGEST_WAIT_S)
        return longest * (0.5 + self._jitter() / 2)

    def _record(self, destination: Destination) -> None:
        stored.record_deliveries(self._store, destination.unrecorded)
        destination.unrecorded = []
