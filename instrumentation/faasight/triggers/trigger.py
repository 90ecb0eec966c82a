"""What is known of how an invocation came about; every reader of an event fills one of these."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from faasight.context import Remote

MAX_IDS = 100  # of a batch, kept for matching: about 4 kB of a span


class Trigger:
    """How an invocation came about. It holds names, ids, times and trace contexts; never a payload."""

    __slots__ = (
        "attempt", "attributes", "ids", "kind", "last_ns", "name", "parents", "records", "sent_ns", "trace_id",
    )  # fmt: skip

    def __init__(self, name: str, kind: int, trigger: str, source: str = "", source_name: str = "") -> None:
        self.name = name.strip()  # the span's
        self.kind = kind  # SERVER or CONSUMER
        self.attributes: dict[str, Any] = {"faas.trigger": trigger}
        if source:
            self.attributes["faasight.source.kind"] = source
            self.attributes["faasight.source.name"] = source_name
        self.parents: list[Remote] = []  # contexts found in the event, one a record at most
        self.trace_id = ""  # to be taken where there is no parent: X-Ray's root, a workflow's execution; "" for none
        self.records = 0  # of a batch; 0 for a trigger that has none
        self.ids: list[str] = []  # what the sender knows this event by: message ids, sequence numbers, key and etag
        self.sent_ns = 0  # when the oldest message was sent, ns since the epoch; 0 if unknown
        self.last_ns = 0  # when the last record of a stream's batch was written; 0 if this is no stream
        self.attempt = 0  # from 1; 0 if unknown

    def messages(self, system: str, ids: list[str], operation: str = "process") -> Trigger:
        """Add the messaging conventions."""
        self.records = len(ids)
        self.attributes["messaging.system"] = system
        self.attributes["messaging.destination.name"] = self.attributes.get("faasight.source.name", "")
        self.attributes["messaging.operation.type"] = operation
        self.attributes["messaging.batch.message_count"] = len(ids)
        if len(ids) == 1:
            self.attributes["messaging.message.id"] = ids[0]
        return self.known_by(*ids[:MAX_IDS])

    def known_by(self, *ids: str) -> Trigger:
        """Add ids that the sender's side knows too, for the matching of spans without a context in the payload."""
        self.ids += [item for item in ids if item][: MAX_IDS - len(self.ids)]
        return self

    def parent(self, remote: Remote | None) -> None:
        """Add a context that was found in the event."""
        if remote is not None:
            self.parents.append(remote)

    def sent(self, sent_ns: int) -> None:
        """Note when a record was sent: the oldest one counts, 0 is unknown."""
        if sent_ns > 0:
            self.sent_ns = min(self.sent_ns or sent_ns, sent_ns)

    def origin(self, inner: Trigger) -> None:
        """Take from what was found within this one's message where it first came from, and its ids."""
        kind = inner.attributes.get("faasight.source.kind")
        for key in ("aws.s3.bucket", "aws.s3.key", "faasight.s3.etag"):
            if key in inner.attributes:
                self.attributes.setdefault(key, inner.attributes[key])
        if kind and "faasight.origin.kind" not in self.attributes:
            self.attributes["faasight.origin.kind"] = inner.attributes.get("faasight.origin.kind", kind)
            self.attributes["faasight.origin.name"] = inner.attributes.get(
                "faasight.origin.name", inner.attributes["faasight.source.name"]
            )
        self.known_by(*inner.ids)
