"""SNS: what a topic sends to functions and queues, filtered, in the documented shape."""

import json
from collections.abc import Callable
from typing import Any

from faasight_emulator import Emulator
from faasight_emulator.aws import Clients
from polling import wait_until
from shapes import missing_keys

Start = Callable[..., Emulator]

TEMPLATE = """
  News:
    Type: AWS::SNS::Topic
    Properties:
      Subscription:
        - {Protocol: sqs, Endpoint: !GetAtt Raw.Arn}
        - {Protocol: email, Endpoint: someone@example.com}
  ToRaw:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref News, Protocol: sqs, Endpoint: !GetAtt Bare.Arn, RawMessageDelivery: true}
  Raw: {Type: AWS::SQS::Queue}
  Bare: {Type: AWS::SQS::Queue}
  All:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events: {News: {Type: SNS, Properties: {Topic: !Ref News}}}
  ByAttribute:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events: {News: {Type: SNS, Properties: {Topic: !Ref News, FilterPolicy: {kind: [large]}}}}
  ByBody:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events:
        News:
          Type: SNS
          Properties: {Topic: !Ref News, FilterPolicy: {total: [{numeric: [">", 10]}]}, FilterPolicyScope: MessageBody}
"""


def messages(sink: Any, function: str) -> list[str]:
    """Return what a function has got, message by message."""
    return [
        json.loads(event["record"])["Records"][0]["Sns"]["Message"]
        for event in sink.events(function, "function")
        if '"Records"' in event["record"]
    ]


def test_fan_out(start: Start, sink: Any) -> None:
    """Each function gets what its filter lets through, once; queues get it in an envelope, or raw."""
    said: list[str] = []
    emulator = start(TEMPLATE, progress=said.append)
    clients = Clients(emulator.place)
    sns, sqs = clients.get("sns"), clients.get("sqs")
    arn = emulator.place.arn("sns", "news")
    kind = {"kind": {"DataType": "String", "StringValue": "large"}}
    sent = sns.publish(TopicArn=arn, Message='{"total": 1}', Subject="One", MessageAttributes=kind)
    sns.publish(TopicArn=arn, Message='{"total": 11}')

    wait_until(lambda: len(messages(sink, "all")) == 2, "both came")
    wait_until(lambda: messages(sink, "by-attribute") == ['{"total": 1}'], "the one with the attribute came")
    wait_until(lambda: messages(sink, "by-body") == ['{"total": 11}'], "the large one came")
    record = json.loads(sink.events("by-attribute", "function")[0]["record"])["Records"][0]
    assert missing_keys("sns.json", {"Records": [record]}) == set()
    assert record["Sns"]["MessageId"] == sent["MessageId"]
    assert record["Sns"]["Subject"] == "One"
    assert record["Sns"]["MessageAttributes"] == {"kind": {"Type": "String", "Value": "large"}}
    assert record["EventSubscriptionArn"].startswith(f"{arn}:")

    def bodies(name: str) -> list[str]:
        url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/{name}"
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [one["Body"] for one in answer.get("Messages", [])]

    assert set(bodies("bare")) == {'{"total": 1}', '{"total": 11}'}
    assert [json.loads(one)["TopicArn"] for one in bodies("raw")] == [arn, arn]
    assert any("subscriptions by email are not emulated" in one for one in said)
    assert [emulator.counts()[name].invocations for name in ("all", "by-attribute", "by-body")] == [2, 1, 1]


def test_a_failing_subscriber_is_retried_and_put_aside(start: Start) -> None:
    """SNS invokes asynchronously: two retries, then the function's dead-letter queue; nobody else notices."""
    emulator = start(
        """
  News: {Type: AWS::SNS::Topic}
  Dead: {Type: AWS::SQS::Queue}
  Bad:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.fail
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}
      Events: {News: {Type: SNS, Properties: {Topic: !Ref News}}}
""",
        retry_delays=(0.05, 0.05),
    )
    clients = Clients(emulator.place)
    clients.get("sns").publish(TopicArn=emulator.place.arn("sns", "news"), Message="hello")
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/dead"
    found = wait_until(
        lambda: clients.get("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "it came"
    )
    assert json.loads(found[0]["Body"])["Records"][0]["Sns"]["Message"] == "hello"
    assert emulator.counts()["bad"].invocations == 3


def test_a_topic_of_another_stack_is_left_out_with_a_warning(start: Start) -> None:
    """What the template refers to and does not have can send nothing."""
    said: list[str] = []
    start(
        """
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      Events: {News: {Type: SNS, Properties: {Topic: "arn:aws:sns:us-east-1:123456789012:theirs"}}}
""",
        progress=said.append,
    )
    assert any("theirs' is not in this template; a subscription with it is left out" in one for one in said)
