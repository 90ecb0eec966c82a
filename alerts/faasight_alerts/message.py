"""What is told about an alert, the same for every channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

_BEFORE_S = 15 * 60  # a page opened from a message shows what led there ...
_AFTER_S = 15 * 60  # ... and what came after


@dataclass(frozen=True, slots=True)
class Message:
    """One change of state, in words. `id` stays the same however often it is sent."""

    id: str
    state: str  # firing or resolved
    severity: str
    rule: str
    labels: Mapping[str, str]
    value: str  # with its unit
    condition: str
    summary: str
    reason: str
    since: datetime  # when it began to fire
    at: datetime
    link: str  # "" if the address of the pages is not known

    @property
    def subject(self) -> str:
        """Whom it concerns: the function, else all the labels."""
        return self.labels.get("function") or ", ".join(f"{key}={value}" for key, value in self.labels.items())

    @property
    def title(self) -> str:
        """One line: severity or "Resolved", rule and subject."""
        head = "Resolved" if self.state == "resolved" else self.severity.capitalize()
        return f"{head}: {self.rule} on {self.subject}" if self.subject else f"{head}: {self.rule}"


def page_link(url: str, labels: Mapping[str, str], since: int, at: int) -> str:
    """Return the page to open: the function's around the alert's time, else the alerts. Times in epoch seconds."""
    if not url:
        return ""
    function = labels.get("function")
    if not function:
        return f"{url.rstrip('/')}/alerts"
    scope = {"from": (since - _BEFORE_S) * 1000, "to": (at + _AFTER_S) * 1000}
    if labels.get("environment"):
        scope["env"] = labels["environment"]  # type: ignore[assignment]  # urlencode takes both
    return f"{url.rstrip('/')}/functions/{quote(function, safe='')}?{urlencode(scope)}"
