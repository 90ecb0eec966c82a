"""Event sources in templates: what is read, what is refused with its line, what is left out with a warning."""

from collections.abc import Callable
from pathlib import Path

import pytest
from faasight_emulator import Template, TemplateError
from faasight_emulator.model import Place, QueueSource, ScheduleSource
from faasight_emulator.sources.model import StreamSource

Write = Callable[[str], Path]
PLACE = Place()

RESOURCES = """
  News: {Type: AWS::SNS::Topic, Properties: {FifoTopic: true}}
  Bus: {Type: AWS::Events::EventBus}
  Up: {Type: AWS::S3::Bucket}
  Clicks: {Type: AWS::Kinesis::Stream, Properties: {StreamModeDetails: {StreamMode: ON_DEMAND}}}
  Work: {Type: AWS::SQS::Queue}
  Plain: {Type: AWS::DynamoDB::Table, Properties: {AttributeDefinitions: [{}], KeySchema: [{}]}}
"""


def function(event: str) -> str:
    return f"""
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      Events:
        E: {event}
"""


def load(write: Write, resources: str) -> Template:
    return Template.load(write(RESOURCES + resources), place=PLACE)


def test_what_references_give(template_file: Write) -> None:
    """!Ref of a topic is its ARN, of the others their name; a FIFO topic is named so."""
    template = load(
        template_file,
        """
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      Environment:
        Variables:
          TOPIC: !Ref News
          TOPIC_NAME: !GetAtt News.TopicName
          BUS: !Ref Bus
          BUS_ARN: !GetAtt Bus.Arn
          BUCKET: !Ref Up
          BUCKET_ARN: !GetAtt Up.Arn
          STREAM: !Ref Clicks
          STREAM_ARN: !GetAtt Clicks.Arn
""",
    )
    assert template.functions[0].environment == {
        "TOPIC": "arn:aws:sns:us-east-1:123456789012:news.fifo",
        "TOPIC_NAME": "news.fifo",
        "BUS": "bus",
        "BUS_ARN": "arn:aws:events:us-east-1:123456789012:event-bus/bus",
        "BUCKET": "up",
        "BUCKET_ARN": "arn:aws:s3:::up",
        "STREAM": "clicks",
        "STREAM_ARN": "arn:aws:kinesis:us-east-1:123456789012:stream/clicks",
    }
    assert template.plumbing.streams[0].shards == 4
    assert template.warnings == ()


def test_mappings_may_be_resources_of_their_own(template_file: Write) -> None:
    """An AWS::Lambda::EventSourceMapping feeds the function that it names, by name or ARN."""
    template = load(
        template_file,
        """
  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  FromQueue:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {EventSourceArn: !GetAtt Work.Arn, FunctionName: !Ref F, BatchSize: 3}
  FromStream:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {EventSourceArn: !GetAtt Clicks.Arn, FunctionName: !GetAtt F.Arn, StartingPosition: LATEST}
  Off:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {EventSourceArn: !GetAtt Work.Arn, FunctionName: !Ref F, Enabled: false}
  Lost:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {EventSourceArn: !GetAtt Work.Arn, FunctionName: nobody}
""",
    )
    (only,) = template.functions
    assert only.queues == (QueueSource(PLACE.arn("sqs", "work"), batch_size=3),)
    assert only.sources == (StreamSource(PLACE.arn("kinesis", "stream/clicks"), "LATEST"),)
    assert len(template.warnings) == 1
    assert "there is no function 'nobody'" in template.warnings[0]


SCHEDULED = """
  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties: {Definition: {StartAt: S, States: {S: {Type: Pass, End: true}}}}
  Nightly:
    Type: AWS::Events::Rule
    Properties:
      ScheduleExpression: cron(0 2 * * ? *)
      Targets: [{Id: a, Arn: !GetAtt F.Arn, Input: '{"a": 1}'}, {Id: b, Arn: !Ref Flow}, {Id: c, Arn: !GetAtt Q.Arn}]
  Often:
    Type: AWS::Scheduler::Schedule
    Properties:
      ScheduleExpression: rate(5 minutes)
      FlexibleTimeWindow: {Mode: "OFF"}
      Target: {Arn: !GetAtt F.Arn, RoleArn: r}
  Never:
    Type: AWS::Scheduler::Schedule
    Properties: {ScheduleExpression: rate(1 minute), State: DISABLED, Target: {Arn: !GetAtt F.Arn, RoleArn: r}}
  Q: {Type: AWS::SQS::Queue}
"""


def test_schedules_may_be_resources_of_their_own(template_file: Write) -> None:
    """Rules by schedule and EventBridge Scheduler start functions and state machines; other targets are told."""
    template = Template.load(template_file(SCHEDULED))
    function, machine = template.functions[0], template.machines[0]
    assert function.schedules == (
        ScheduleSource("nightly", "cron(0 2 * * ? *)", '{"a": 1}', "events"),
        ScheduleSource("often", "rate(5 minutes)", None, "scheduler"),
    )
    assert machine.schedules == (ScheduleSource("nightly", "cron(0 2 * * ? *)", None, "events"),)
    assert len(template.warnings) == 1
    assert "Nightly.Properties.Targets.2.Arn: schedules start functions and state machines" in template.warnings[0]
    assert template.plumbing.rules == ()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            "{Type: Kinesis, Properties: {Stream: clicks, StartingPosition: LATEST}}",
            "is 'clicks'; must be an ARN",
        ),
        ("{Type: Kinesis, Properties: {Stream: !GetAtt Clicks.Arn}}", "has no 'StartingPosition'"),
        (
            "{Type: DynamoDB, Properties: {Stream: !GetAtt Plain.StreamArn, StartingPosition: AT_TIMESTAMP}}",
            "must be one of TRIM_HORIZON, LATEST.",
        ),
        (
            "{Type: Kinesis, Properties: {Stream: !GetAtt Clicks.Arn, StartingPosition: AT_TIMESTAMP}}",
            "StartingPositionTimestamp: must be seconds since 1970",
        ),
        (
            "{Type: Kinesis, Properties: {Stream: !GetAtt Clicks.Arn, StartingPosition: LATEST,"
            " MaximumRecordAgeInSeconds: 5}}",
            "is 5; must be -1 or from 60",
        ),
        (
            "{Type: SQS, Properties: {Queue: !GetAtt Work.Arn, FilterCriteria: {Filters: [{Pattern: '{'}]}}}",
            "a pattern is not JSON",
        ),
        (
            "{Type: SQS, Properties: {Queue: !GetAtt Work.Arn, FilterCriteria: {Filters: [{}]}}}",
            "a pattern must be a mapping",
        ),
        ("{Type: EventBridgeRule, Properties: {Pattern: {source: shop}}}", "'source' must be a list"),
        ("{Type: EventBridgeRule, Properties: {Pattern: {source: [a]}, Input: '{'}}", "Input: is not JSON"),
        (
            "{Type: EventBridgeRule, Properties: {Pattern: {source: [a]}, InputPath: detail}}",
            "cannot be followed",
        ),
        (
            "{Type: S3, Properties: {Bucket: !Ref Up, Events: ObjectCreated}}",
            "must begin with one of",
        ),
        (
            "{Type: S3, Properties: {Bucket: !Ref Up, Events: 's3:ObjectCreated:*',"
            " Filter: {S3Key: {Rules: [{Name: middle, Value: x}]}}}}",
            "must be prefix or suffix",
        ),
        ("{Type: SNS, Properties: {Topic: !Ref News, SqsSubscription: true}}", "SqsSubscription: is not emulated"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(template_file: Write, event: str, words: str) -> None:
    with pytest.raises(TemplateError) as refusal:
        load(template_file, function(event))
    assert words in str(refusal.value)
    assert "template.yaml:2" in str(refusal.value), "it names the line"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            "{Type: SNS, Properties: {Topic: 'arn:aws:sns:r:1:theirs'}}",
            "theirs' is not in this template",
        ),
        ("{Type: S3, Properties: {Bucket: theirs, Events: 's3:ObjectCreated:*'}}", "'theirs' is not in this template"),
        ("{Type: EventBridgeRule, Properties: {EventBusName: theirs, Pattern: {source: [a]}}}", "'theirs' is not"),
        (
            "{Type: DynamoDB, Properties: {Stream: !GetAtt Plain.StreamArn, StartingPosition: LATEST}}",
            "or has no StreamSpecification",
        ),
    ],
)
def test_what_is_not_there_is_left_out_with_a_warning(template_file: Write, event: str, words: str) -> None:
    template = load(template_file, function(event))
    assert any(words in warning for warning in template.warnings), template.warnings
    assert template.plumbing.subscriptions == template.plumbing.rules == template.plumbing.notifications == ()
