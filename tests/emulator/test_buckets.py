"""S3: what a bucket tells functions, queues, topics and the event bus of its objects."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from faasight_emulator import Emulator, StartError
from faasight_emulator.aws import Clients
from polling import wait_until
from shapes import missing_keys

Start = Callable[..., Emulator]

TEMPLATE = """
  Uploads:
    Type: AWS::S3::Bucket
    Properties:
      NotificationConfiguration:
        EventBridgeConfiguration: {EventBridgeEnabled: true}
        QueueConfigurations:
          - {Event: "s3:ObjectRemoved:*", Queue: !GetAtt Removed.Arn}
        TopicConfigurations:
          - {Event: "s3:ObjectCreated:*", Topic: !Ref News, Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}]}}}
  Removed: {Type: AWS::SQS::Queue}
  News: {Type: AWS::SNS::Topic}
  Images:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events:
        Image:
          Type: S3
          Properties:
            Bucket: !Ref Uploads
            Events: s3:ObjectCreated:*
            Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}, {Name: suffix, Value: .png}]}}
  Gone:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events: {Removed: {Type: S3, Properties: {Bucket: !Ref Uploads, Events: ["s3:ObjectRemoved:*"]}}}
  ByTopic:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events: {News: {Type: SNS, Properties: {Topic: !Ref News}}}
  ByBus:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.show
      Events:
        Created:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.s3]
              detail-type: [Object Created]
              detail: {bucket: {name: [!Ref Uploads]}, object: {key: [{wildcard: "*.png"}]}}
"""


def events(sink: Any, function: str) -> list[dict[str, Any]]:
    """Return the events that a function has printed."""
    return [json.loads(one["record"]) for one in sink.events(function, "function") if one["record"].startswith("{")]


def test_objects_are_told_of(start: Start, sink: Any) -> None:
    """Prefix and suffix choose; what is made and what is removed go their ways, each once."""
    emulator = start(TEMPLATE)
    clients = Clients(emulator.place)
    s3 = clients.get("s3")
    put = s3.put_object(Bucket="uploads", Key="in/a cat é.png", Body=b"meow")
    s3.put_object(Bucket="uploads", Key="in/notes.txt", Body=b"")
    s3.put_object(Bucket="uploads", Key="out/b.png", Body=b"")
    s3.delete_object(Bucket="uploads", Key="in/notes.txt")

    wait_until(lambda: len(events(sink, "images")) == 1, "the image came")
    wait_until(lambda: len(events(sink, "by-topic")) == 2, "both of the prefix came by the topic")
    wait_until(lambda: len(events(sink, "by-bus")) == 2, "both images came by the bus")
    wait_until(lambda: len(events(sink, "gone")) == 1, "the removal came")
    record = events(sink, "images")[0]["Records"][0]
    assert missing_keys("s3.json", {"Records": [record]}) == set()
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["object"]["key"] == "in/a+cat+%C3%A9.png"
    assert record["s3"]["object"]["size"] == 4
    assert record["s3"]["object"]["eTag"] == put["ETag"].strip('"')
    gone = events(sink, "gone")[0]["Records"][0]
    assert gone["eventName"] == "ObjectRemoved:Delete"
    assert gone["s3"]["object"].keys() == {"key", "sequencer"}
    inner = [json.loads(one["Records"][0]["Sns"]["Message"]) for one in events(sink, "by-topic")]
    assert {one["Records"][0]["s3"]["object"]["key"] for one in inner} == {"in/a+cat+%C3%A9.png", "in/notes.txt"}
    bridged = events(sink, "by-bus")
    assert missing_keys("s3_event_bridge.json", bridged[0]) == set()
    assert {one["detail"]["object"]["key"] for one in bridged} == {"in/a cat é.png", "out/b.png"}
    assert len({one["id"] for one in bridged}) == 2
    assert bridged[0]["detail"]["object"]["etag"] == put["ETag"].strip('"')
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/removed"
    found = wait_until(
        lambda: clients.get("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "it came"
    )
    assert json.loads(found[0]["Body"])["Records"][0]["eventName"] == "ObjectRemoved:Delete"
    assert emulator.counts()["images"].invocations == 1


def test_a_function_behind_a_bucket_that_fails_loses_nothing_of_others(start: Start, sink: Any) -> None:
    """Of a burst every object comes once, and one that fails goes to the function's destination."""
    emulator = start(
        """
  Uploads: {Type: AWS::S3::Bucket}
  Lost: {Type: AWS::SQS::Queue}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.objects
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Lost.Arn}}
      Events: {Put: {Type: S3, Properties: {Bucket: !Ref Uploads, Events: "s3:ObjectCreated:Put"}}}
"""
    )
    clients = Clients(emulator.place)
    keys = [f"{n}.txt" for n in range(20)] + ["bad.txt"]
    for key in keys:
        clients.get("s3").put_object(Bucket="uploads", Key=key, Body=b"")
    wait_until(lambda: emulator.counts()["f"].invocations == 21, "all came")
    seen = [one["key"] for one in events(sink, "f") if "key" in one]
    wait_until(lambda: len([one for one in events(sink, "f") if "key" in one]) == 21, "all were told of")
    seen = [one["key"] for one in events(sink, "f") if "key" in one]
    assert sorted(seen) == sorted(keys)
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/lost"
    found = wait_until(
        lambda: clients.get("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "it came"
    )
    record = json.loads(found[0]["Body"])
    assert record["requestPayload"]["Records"][0]["s3"]["object"]["key"] == "bad.txt"
    assert emulator.counts()["f"].errors == 1


def test_what_cannot_be_made_is_named(start: Start) -> None:
    """A resource that AWS refuses is told by its name, and nothing stays behind."""
    with pytest.raises(StartError, match=r"The bucket 'up' could not be made .*InvalidBucketName"):
        start(
            """
  Wrong: {Type: AWS::S3::Bucket, Properties: {BucketName: up}}
  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
"""
        )
