"""EventBridge: rules on the default bus and on others, their patterns, and what their targets get."""

import json
from collections.abc import Callable
from typing import Any

from faasight_emulator import Emulator
from faasight_emulator.aws import Clients
from faasight_emulator.model import Place
from faasight_emulator.sources.buses import BusDelivery
from faasight_emulator.sources.model import Rule, Target
from faasight_emulator.targets import UnknownTargetError
from polling import wait_until
from shapes import missing_keys

Start = Callable[..., Emulator]

TEMPLATE = """
  Orders: {Type: AWS::Events::EventBus, Properties: {Name: orders}}
  Archive: {Type: AWS::SQS::Queue}
  Keep:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Orders
      EventPattern: {detail: {total: [{numeric: [">=", 10]}]}}
      Targets:
        - {Id: q, Arn: !GetAtt Archive.Arn, InputPath: $.detail.total}
        - Id: f
          Arn: !GetAtt Large.Arn
          InputTransformer:
            InputPathsMap: {total: $.detail.total, who: $.detail.who}
            InputTemplate: '{"line": "<who> pays <total>", "total": <total>}'
  Large: {Type: AWS::Serverless::Function, Properties: {Handler: app.show}}
  Placed:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events:
        Placed: {Type: EventBridgeRule, Properties: {EventBusName: !Ref Orders, Pattern: {source: [shop]}}}
        Ping: {Type: EventBridgeRule, Properties: {Pattern: {source: [ping]}, Input: '{"constant": true}'}}
        Off: {Type: EventBridgeRule, Properties: {Pattern: {source: [{prefix: ""}]}, State: DISABLED}}
"""


def events(sink: Any, function: str) -> list[Any]:
    """Return the events that a function has printed."""
    return [json.loads(one["record"]) for one in sink.events(function, "function")]


def test_rules(start: Start, sink: Any) -> None:
    """An event goes to each rule of its bus that it matches, and there to each target in the target's own shape."""
    emulator = start(TEMPLATE)
    clients = Clients(emulator.place)
    entry = {"Source": "shop", "DetailType": "OrderPlaced", "EventBusName": "orders"}
    answer = clients.get("events").put_events(
        Entries=[
            {**entry, "Detail": '{"total": 12, "who": "Ada \\"A.\\""}', "Resources": ["arn:x"]},
            {**entry, "Detail": '{"total": 9}'},
            {**entry, "Detail": "{}", "EventBusName": "default"},
            {"Source": "ping", "DetailType": "Ping", "Detail": "{}"},
        ]
    )
    wait_until(lambda: len(events(sink, "placed")) == 3, "two orders and a ping came")
    wait_until(lambda: len(events(sink, "large")) == 1, "the large order came")
    assert events(sink, "large") == [{"line": 'Ada "A." pays 12', "total": 12}]
    placed = [one for one in events(sink, "placed") if "id" in one]
    assert [one for one in events(sink, "placed") if "id" not in one] == [{"constant": True}]
    assert {one["id"] for one in placed} == {one["EventId"] for one in answer["Entries"][:2]}
    large = next(one for one in placed if one["detail"]["total"] == 12)
    assert missing_keys("event_bridge.json", {**large, "detail": {}}) <= {
        ".detail.order",
        ".detail.traceparent",
        ".detail.tracestate",
    }
    assert (large["account"], large["region"], large["resources"]) == ("123456789012", "us-east-1", ["arn:x"])
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/archive"
    found = wait_until(
        lambda: clients.get("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "it came"
    )
    assert [one["Body"] for one in found] == ["12"]


class Unreachable:
    """Targets of which one takes nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.tries = 0

    def send(self, arn: str, body: str, attributes: dict[str, str] | None = None, **_: str) -> None:
        """Take a body, or refuse."""
        if arn == "arn:down":
            self.tries += 1
            raise UnknownTargetError("it is away")
        self.sent.append((arn, body, attributes or {}))


def test_a_target_that_is_away_keeps_nothing_from_the_others() -> None:
    """It is tried four times; then the event is in its dead-letter queue, or told of."""
    targets = Unreachable()
    said: list[str] = []
    rule = Rule(
        "r", "b", {"source": ["s"]}, (Target("arn:down", dead_letter="arn:dead"), Target("arn:down"), Target("arn:up"))
    )
    delivery = BusDelivery("b", [rule], Place(), targets, said.append, sleep=lambda _: None)  # type: ignore[arg-type]  # stands in for a Pusher
    event = {"source": "s", "detail-type": "t", "account": "1", "region": "r", "detail": {}, "id": "i", "time": 1.0}
    delivery.handle(json.dumps(event))
    assert targets.tries == 8
    assert [arn for arn, _, _ in targets.sent] == ["arn:dead", "arn:up"]
    assert json.loads(targets.sent[0][1])["id"] == "i"
    assert targets.sent[0][2]["TARGET_ARN"] == "arn:down"
    assert len(said) == 1
    assert "'r' could not reach arn:down: it is away" in said[0]
