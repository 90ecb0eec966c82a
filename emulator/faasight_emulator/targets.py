"""Brings a body to what an ARN names: a function, a queue, a topic, an event bus, a state machine or a bucket."""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from faasight_emulator.aws import Clients
from faasight_emulator.errors import EmulatorError
from faasight_emulator.model import Place

Fire = Callable[[str, bytes, str], None]
Attributes = Mapping[str, str | int]
Message = dict[str, object]


class UnknownTargetError(EmulatorError):
    """The ARN names nothing that bodies can be brought to here."""


class Targets:
    """Sends to ARNs, from any thread but the event loop's.

    `fire` invokes a function asynchronously, by its name, with an event and an X-Ray trace header or ""; or it starts a
    state machine, by its ARN.
    """

    def __init__(self, place: Place, clients: Clients, fire: Fire) -> None:
        self._place = place
        self._clients = clients
        self._fire = fire
        self._services = {
            "lambda": self._function,
            "sqs": self._queue,
            "sns": self._topic,
            "events": self._bus,
            "states": self._machine,
        }

    def send(
        self,
        arn: str,
        body: str,
        attributes: Attributes | None = None,
        group: str = "",
        trace: str = "",
        folder: str = "aws/lambda",
    ) -> None:
        """Send one body.

        Args:
            arn: of a function (any qualifier), a queue, a topic, a bus, a state machine or a bucket.
            body: the event, or the message's text.
            attributes: message attributes, for queues and topics.
            group: the message group, for FIFO queues and topics.
            folder: where in a bucket the body becomes an object, as Lambda names it.
            trace: the X-Ray trace header that goes along to functions and queues; else they begin a trace of their own.

        Raises:
            UnknownTargetError: nothing of this kind is emulated.
            BotoCoreError, ClientError: it is not there, or refuses the body.
            EmulatorError: the function is none of the template's, or too much waits for it.

        """
        parts = arn.split(":")
        service = parts[2] if len(parts) > 5 else ""
        if service == "s3":
            self._bucket(parts[5], body, folder)
            return
        if service not in self._services:
            raise UnknownTargetError(
                f"Nothing can be sent to '{arn}': only functions, queues, topics, buses, machines and buckets are."
            )
        extra = _message(attributes or {}, group)
        self._services[service](arn, body, extra, trace)

    def _bucket(self, name: str, body: str, folder: str) -> None:
        now = datetime.now(UTC)
        key = f"{folder}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        self._clients.get("s3").put_object(Bucket=name, Key=key, Body=body.encode(), ContentType="application/json")

    def _function(self, arn: str, body: str, _message: Message, trace: str) -> None:
        self._fire(":".join(arn.split(":")[6:]), body.encode(), trace)

    def _queue(self, arn: str, body: str, message: Message, trace: str) -> None:
        name = arn.rsplit(":", 1)[-1]
        url = f"{self._place.aws_endpoint}/{self._place.account}/{name}"
        if trace:
            message = message | {"MessageSystemAttributes": {"AWSTraceHeader": _typed(trace)}}
        self._clients.get("sqs").send_message(QueueUrl=url, MessageBody=body, **message)

    def _topic(self, arn: str, body: str, message: Message, _trace: str) -> None:
        self._clients.get("sns").publish(TopicArn=arn, Message=body, **message)

    def _machine(self, arn: str, body: str, _message: Message, trace: str) -> None:
        self._fire(arn, body.encode(), trace)

    def _bus(self, arn: str, body: str, _message: Message, _trace: str) -> None:
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


def _message(attributes: Attributes, group: str) -> Message:
    given = {key: _typed(value) for key, value in attributes.items() if value != ""}
    extra: Message = {"MessageAttributes": given} if given else {}
    return extra | ({"MessageGroupId": group} if group else {})


def _typed(value: str | int) -> dict[str, str]:
    return {"DataType": "Number" if isinstance(value, int) else "String", "StringValue": str(value)}
