"""What a task of a state machine reaches, by the names that the map reads."""

import pytest
from faasight_emulator.states.targets import attributes

SOURCE = {"faasight.source.kind": "workflow", "faasight.source.name": "saga"}
STATES = "arn:aws:states:::"


@pytest.mark.parametrize(
    ("resource", "argument", "target"),
    [
        (
            "sqs:sendMessage",
            {"QueueUrl": "http://127.0.0.1:3000/000000000000/news", "MessageBody": "secret"},
            {"messaging.system": "aws_sqs", "messaging.destination.name": "news"},
        ),
        (
            "sns:publish.waitForTaskToken",
            {"TopicArn": "arn:aws:sns:us-east-1:1:orders"},
            {"messaging.system": "aws_sns", "messaging.destination.name": "orders"},
        ),
        (
            "events:putEvents",
            {"Entries": [{"EventBusName": "arn:aws:events:us-east-1:1:event-bus/shop"}]},
            {"messaging.system": "aws_eventbridge", "messaging.destination.name": "shop"},
        ),
        (
            "aws-sdk:eventbridge:putEvents",
            {"Entries": []},
            {"messaging.system": "aws_eventbridge", "messaging.destination.name": "default"},
        ),
        (
            "dynamodb:putItem",
            {"TableName": "orders"},
            {"db.system.name": "aws.dynamodb", "aws.dynamodb.table_names": '["orders"]'},
        ),
        ("aws-sdk:s3:getObject", {"Bucket": "photos", "Key": "cat"}, {"aws.s3.bucket": "photos"}),
        (
            "states:startExecution",
            {"StateMachineArn": "arn:aws:states:us-east-1:1:stateMachine:inner"},
            {"aws.step_functions.state_machine.arn": "arn:aws:states:us-east-1:1:stateMachine:inner"},
        ),
    ],
)
def test_a_service_is_named_and_the_machine_as_its_caller(
    resource: str, argument: dict[str, object], target: dict[str, str]
) -> None:
    assert attributes(STATES + resource, argument, "saga") == target | SOURCE


@pytest.mark.parametrize(
    ("resource", "argument"),
    [
        ("arn:aws:lambda:us-east-1:1:function:pay", {"QueueUrl": "of the payload"}),
        (f"{STATES}lambda:invoke", {"FunctionName": "pay", "Payload": {}}),
        (f"{STATES}sqs:sendMessage", {"QueueUrl": 7}),
        (f"{STATES}sqs:sendMessage", "no object"),
        (f"{STATES}aws-sdk:s3:listBuckets", {}),
    ],
)
def test_functions_tell_by_themselves_and_what_names_nothing_is_no_edge(resource: str, argument: object) -> None:
    assert attributes(resource, argument, "saga") == {}
