"""SNS topics: moto keeps them, filters, and sends to queues; what is for functions comes by way of an inbox."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from faasight_emulator.aws import Clients, making
from faasight_emulator.model import Place
from faasight_emulator.sources.inbox import Inbox
from faasight_emulator.sources.model import Subscription, Topic
from faasight_emulator.sources.pushing import Pusher


def create_topics(clients: Clients, place: Place, topics: Sequence[Topic]) -> None:
    """Make the topics. Raises StartError."""
    for topic in topics:
        with making(f"The topic '{topic.name}'", place):
            clients.get("sns").create_topic(Name=topic.name, Attributes=dict(topic.attributes))


class TopicDelivery:
    """Brings what one subscription lets through to a function, in the shape of Lambda's SNS event."""

    def __init__(self, subscription: Subscription, pusher: Pusher) -> None:
        self._subscription = subscription
        self._pusher = pusher
        self._arn = ""

    def subscribe(self, clients: Clients, endpoint: str) -> None:
        """Subscribe a queue's ARN. Raises ClientError, BotoCoreError."""
        self._arn = subscribe(clients, self._subscription, endpoint)

    def handle(self, body: str) -> None:
        """Invoke the function with a message as moto puts it into a queue."""
        self._pusher.send(self._subscription.target, json.dumps(sns_event(json.loads(body), self._arn)))


def subscribe(clients: Clients, subscription: Subscription, endpoint: str) -> str:
    """Subscribe a queue to a topic and return the subscription's ARN."""
    answer = clients.get("sns").subscribe(
        TopicArn=subscription.topic_arn,
        Protocol="sqs",
        Endpoint=endpoint,
        Attributes=dict(subscription.attributes),
        ReturnSubscriptionArn=True,
    )
    return str(answer["SubscriptionArn"])


def sns_event(envelope: dict[str, Any], subscription_arn: str) -> dict[str, Any]:
    """Return Lambda's event of one notification. The names of the two URLs differ from those that queues get."""
    notification = {
        "Type": envelope["Type"],
        "MessageId": envelope["MessageId"],
        "TopicArn": envelope["TopicArn"],
        "Subject": envelope.get("Subject"),
        "Message": envelope["Message"],
        "Timestamp": envelope["Timestamp"],
        "SignatureVersion": envelope["SignatureVersion"],
        "Signature": envelope["Signature"],
        "SigningCertUrl": envelope["SigningCertURL"],
        "UnsubscribeUrl": envelope["UnsubscribeURL"],
        "MessageAttributes": envelope.get("MessageAttributes", {}),
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "Sns": notification,
    }
    return {"Records": [record]}


def topic_inboxes(
    place: Place,
    clients: Clients,
    subscriptions: Sequence[Subscription],
    pusher: Callable[[str, str], Pusher],
    warn: Callable[[str], None],
) -> list[Inbox]:
    """Subscribe everything and return the inboxes of those that are functions. `pusher` takes a kind and a name.

    Raises StartError.
    """
    inboxes = []
    for number, one in enumerate(subscriptions):
        topic = one.topic_arn.rsplit(":", 1)[-1]
        with making(f"A subscription of the topic '{topic}'", place):
            if ":sqs:" in one.target:
                subscribe(clients, one, one.target)
                continue
            delivery = TopicDelivery(one, pusher("topic", topic))
            inbox = Inbox(f"topic-{number}-{topic}", place, clients.get("sqs"), delivery.handle, warn)
            inbox.create()
            delivery.subscribe(clients, inbox.arn)
            inboxes.append(inbox)
    return inboxes
