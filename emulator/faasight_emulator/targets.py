"""Brings a body to what an ARN names: a function, a queue, a topic or an event bus."""

import json
from collections.abc import Callable, Mapping

from faasight_emulator.aws import Clients
from faasight_emulator.errors import EmulatorError
from faasight_emulator.model import Place

Fire = Callable[[str, bytes], None]


class UnknownTargetError(EmulatorError):
    """The ARN names nothing that bodies can be brought to here."""


class Targets:
    """Sends to ARNs, from any thread but the event loop's. `fire` invokes a function by name, asynchronously."""

    def __init__(self, place: Place, clients: Clients, fire: Fire) -> None:
        self._place = place
        self._clients = clients
        self._fire = fire
        self._services = {"lambda": self._function, "sqs": self._queue, "sns": self._topic, "events": self._bus}

    def send(self, arn: str, body: str, attributes: Mapping[str, str] | None = None, group: str = "") -> None:
        """Send one body.

        Args:
            arn: of a function (any qualifier), a queue, a topic or a bus.
            body: the event, or the message's text.
            attributes: message attributes of text, for queues and topics.
            group: the message group, for FIFO queues and topics.

        Raises:
            UnknownTargetError: nothing of this kind is emulated.
            BotoCoreError, ClientError: it is not there, or refuses the body.
            EmulatorError: the function is none of the template's, or too much waits for it.

        """
        parts = arn.split(":")
        service = parts[2] if len(parts) > 5 else ""
        if service not in self._services:
            raise UnknownTargetError(
                f"Nothing can be sent to '{arn}': only functions, queues, topics and buses are emulated."
            )
        self._services[service](arn, body, attributes or {}, group)

    def _function(self, arn: str, body: str, _attributes: Mapping[str, str], _group: str) -> None:
        self._fire(arn.split(":")[6], body.encode())

    def _queue(self, arn: str, body: str, attributes: Mapping[str, str], group: str) -> None:
        name = arn.rsplit(":", 1)[-1]
        url = f"{self._place.aws_endpoint}/{self._place.account}/{name}"
        extra = _message(attributes, group)
        self._clients.get("sqs").send_message(QueueUrl=url, MessageBody=body, **extra)

    def _topic(self, arn: str, body: str, attributes: Mapping[str, str], group: str) -> None:
        self._clients.get("sns").publish(TopicArn=arn, Message=body, **_message(attributes, group))

    def _bus(self, arn: str, body: str, _attributes: Mapping[str, str], _group: str) -> None:
        """Put the event on another bus; its own envelope says source and detail-type."""
        event = json.loads(body)
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event.get("resources", []),
            "EventBusName": arn,
        }
        self._clients.get("events").put_events(Entries=[entry])


def _message(attributes: Mapping[str, str], group: str) -> dict[str, object]:
    texts = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items() if value}
    extra: dict[str, object] = {"MessageAttributes": texts} if texts else {}
    return extra | ({"MessageGroupId": group} if group else {})
