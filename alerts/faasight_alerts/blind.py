"""Says that nothing can be evaluated at all, past the outbox: that is in the very store that does not answer."""

from datetime import datetime

from faasight_alerts.message import Message
from faasight_alerts.outbox import Outbox
from faasight_alerts.own import MOST_FAILURES


class Blind:
    """Counts rounds that failed as a whole. It remembers nothing over a restart."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._failures = 0
        self._since: datetime | None = None  # when people were told

    def note(self, done: bool, now: datetime) -> None:
        """Take notice of a round: the third failure in a row is told, and so is its end."""
        self._failures = 0 if done else self._failures + 1
        if self._failures >= MOST_FAILURES and self._since is None:
            if self._outbox.shout(_message("firing", now, now)):
                self._since = now
        elif done and self._since and self._outbox.shout(_message("resolved", self._since, now)):
            self._since = None


def _message(state: str, since: datetime, now: datetime) -> Message:
    return Message(
        id=f"alerts-blind-{since:%Y%m%dT%H%M%SZ}",
        state=state,
        severity="critical",
        rule="alerts-blind",
        labels={},
        value="-",
        condition=f"{MOST_FAILURES} rounds of evaluation in a row failed",
        summary="The store does not answer: no rule is evaluated, and messages wait. The log of the service says more.",
        reason="the store cannot be reached" if state == "firing" else "the store answers again",
        since=since,
        at=now,
        link="",
    )
