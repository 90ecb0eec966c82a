"""Asynchronous invocations and the Invoke API: retries with one request id, dead letters, destinations."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from faasight_emulator import Emulator, TooManyRequestsError, UnknownFunctionError
from faasight_emulator.asynchronous import AsyncInvoker
from faasight_emulator.aws import Clients
from faasight_emulator.invocation import Invocation, Result
from faasight_emulator.model import AsyncPolicy, Function, Place
from faasight_emulator.targets import Targets
from polling import wait_until

Start = Callable[..., Emulator]

FUNCTIONS = """
  Dead: {Type: AWS::SQS::Queue}
  Done: {Type: AWS::SQS::Queue}
  Fail:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.fail, DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}}
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      AutoPublishAlias: live
      EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: SQS, Destination: !GetAtt Done.Arn}}}
  Call: {Type: AWS::Serverless::Function, Properties: {Handler: app.call, Timeout: 20}}
  Never: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo, ReservedConcurrentExecutions: 0}}
  Note: {Type: AWS::Serverless::Function, Properties: {Handler: app.note_client}}
"""


def received(emulator: Emulator, queue: str) -> dict[str, Any]:
    """Return the message that comes to a queue."""
    sqs = Clients(emulator.place).get("sqs")
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/{queue}"

    def ask() -> list[dict[str, Any]]:
        answer = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"], AttributeNames=["All"]
        )
        return list(answer.get("Messages", []))

    return wait_until(ask, f"a message came to {queue}")[0]


def test_failures_are_tried_three_times_and_put_aside(start: Start, sink: Any) -> None:
    """Two retries under one request id; then the event is in the dead-letter queue, with the reason."""
    emulator = start(FUNCTIONS, retry_delays=(0.05, 0.05))
    submitted = emulator.invoke("fail", {"message": "lost"}, asynchronous=True)
    assert submitted.payload == b""
    message = received(emulator, "dead")
    assert json.loads(message["Body"]) == {"message": "lost"}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["RequestID"] == submitted.request_id
    assert (attributes["ErrorCode"], attributes["ErrorMessage"]) == ("200", "lost")
    assert message["MessageAttributes"]["ErrorCode"]["DataType"] == "Number"
    starts = sink.wait_for("fail", "platform.start", 3)
    assert [record["requestId"] for record in starts] == [submitted.request_id] * 3
    headers = [record["tracing"]["value"] for record in starts]
    assert len({header.split(";")[0] for header in headers}) == 1, "the attempts are one trace"
    assert len(set(headers)) == 3
    assert message["Attributes"]["AWSTraceHeader"].split(";")[0] == headers[0].split(";")[0]
    assert emulator.counts()["fail"].errors == 3


def test_on_success_destination(start: Start) -> None:
    """A success is told to its destination in the shape of Lambda's invocation record."""
    emulator = start(FUNCTIONS)
    emulator.invoke("echo", {"n": 1}, asynchronous=True)
    record = json.loads(received(emulator, "done")["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["functionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST"
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 1}, {"n": 1})


OUTCOMES = """
  Topic: {{Type: AWS::SQS::Queue}}
  Bus: {{Type: AWS::SQS::Queue}}
  After: {{Type: AWS::Serverless::Function, Properties: {{Handler: app.show}}}}
  Fail:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.fail
      EventInvokeConfig: {{MaximumRetryAttempts: 0, DestinationConfig: {{OnFailure: {{Destination: {target}}}}}}}
  Zero:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.echo
      ReservedConcurrentExecutions: 0
      EventInvokeConfig: {{DestinationConfig: {{OnFailure: {{Destination: {target}}}}}}}
"""
ACCOUNT = "us-east-1:123456789012"


def subscribed(emulator: Emulator) -> None:
    """Bring a topic's and a bus's events to queues of their names."""
    sns, events = (Clients(emulator.place).get(one) for one in ("sns", "events"))
    topic = sns.create_topic(Name="outcomes")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{ACCOUNT}:topic")
    events.create_event_bus(Name="outcomes")
    events.put_rule(Name="all", EventBusName="outcomes", EventPattern='{"source": ["lambda"]}')
    target = {"Id": "1", "Arn": f"arn:aws:sqs:{ACCOUNT}:bus"}
    events.put_targets(Rule="all", EventBusName="outcomes", Targets=[target])


def test_on_failure_to_a_topic(start: Start) -> None:
    """A topic's subscriber gets the record of a failure, with the function's error."""
    emulator = start(OUTCOMES.format(target=f"arn:aws:sns:{ACCOUNT}:outcomes"))
    subscribed(emulator)
    submitted = emulator.invoke("fail", {"message": "lost"}, asynchronous=True)
    record = json.loads(json.loads(received(emulator, "topic")["Body"])["Message"])
    assert record["requestContext"] == {
        "requestId": submitted.request_id,
        "functionArn": f"arn:aws:lambda:{ACCOUNT}:function:fail:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 1,
    }
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "lost"


def test_on_failure_to_a_bus(start: Start) -> None:
    """A bus gets the record as an event; a function that may not run at all fails at once, without a response."""
    emulator = start(OUTCOMES.format(target=f"arn:aws:events:{ACCOUNT}:event-bus/outcomes"))
    subscribed(emulator)
    emulator.invoke("zero", 7, asynchronous=True)
    event = json.loads(received(emulator, "bus")["Body"])
    assert (event["source"], event["detail-type"]) == ("lambda", "Lambda Function Invocation Result - Failure")
    assert event["resources"][1] == f"arn:aws:lambda:{ACCOUNT}:function:zero:$LATEST"
    context = event["detail"]["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("ZeroReservedConcurrency", 0)
    assert event["detail"]["requestPayload"] == 7
    assert "responsePayload" not in event["detail"]


def test_on_failure_to_a_bucket(start: Start) -> None:
    """The record is an object there, under the function's name."""
    emulator = start(OUTCOMES.format(target="arn:aws:s3:::kept") + "  Kept: {Type: AWS::S3::Bucket}\n")
    emulator.invoke("fail", {"a": 1}, asynchronous=True)
    s3 = Clients(emulator.place).get("s3")
    found = wait_until(lambda: s3.list_objects_v2(Bucket="kept").get("Contents"), "it is in the bucket")
    assert found[0]["Key"].startswith("aws/lambda/async/fail/")
    told = json.loads(s3.get_object(Bucket="kept", Key=found[0]["Key"])["Body"].read())
    assert (told["requestPayload"], told["requestContext"]["condition"]) == ({"a": 1}, "RetriesExhausted")


def test_on_failure_to_a_function(start: Start, sink: Any) -> None:
    """A function, named with a qualifier too, gets the record within the trace of what failed."""
    emulator = start(OUTCOMES.format(target=f"arn:aws:lambda:{ACCOUNT}:function:after:$LATEST"))
    emulator.invoke("fail", {}, asynchronous=True)
    printed = json.loads(sink.wait_for("after", "function")[0])
    assert printed["requestContext"]["condition"] == "RetriesExhausted"
    roots = [sink.wait_for(name, "platform.start")[0]["tracing"]["value"].split(";")[0] for name in ("fail", "after")]
    assert roots[0] == roots[1]


def test_an_outcome_that_cannot_be_told(start: Start) -> None:
    """A destination that is not there costs the outcome alone: a warning, and the function goes on."""
    said: list[str] = []
    emulator = start(OUTCOMES.format(target=f"arn:aws:sqs:{ACCOUNT}:nowhere"), progress=said.append)
    emulator.invoke("fail", {}, asynchronous=True)
    wait_until(lambda: [line for line in said if "nowhere and is lost" in line], "the loss is told")
    emulator.invoke("fail", {}, asynchronous=True)
    wait_until(lambda: emulator.counts()["fail"].errors == 2, "the function runs on")


@pytest.mark.parametrize(("delay", "attempts"), [(0.0, 0), (9.0, 1)])
def test_events_grow_too_old(tmp_path: Path, delay: float, attempts: int) -> None:
    """An event that is throttled, or whose retry would come, past its age is given up as EventAgeExceeded."""
    policy = AsyncPolicy(maximum_age=0, on_failure="arn:aws:lambda:r:a:function:q")
    function = Function("F", "f", "app.f", tmp_path, "python3.11", asynchronous=policy)
    told: list[Any] = []

    async def run(_: Function, invocation: Invocation) -> Result:
        if not delay:
            raise TooManyRequestsError("f", "why", invocation.request_id)
        return Result(invocation.request_id, "error", b"{}")

    async def submit() -> None:
        place = Place()
        targets = Targets(place, Clients(place), lambda _, event, __: told.append(json.loads(event)["requestContext"]))
        invoker = AsyncInvoker(run, targets, place, pytest.fail, (delay, delay))
        invoker.submit(function, Invocation(b"{}"))
        while not told:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(submit(), 180))
    assert told[0]["condition"] == "EventAgeExceeded"
    assert told[0]["approximateInvokeCount"] == attempts


def test_functions_invoke_functions(start: Start) -> None:
    """boto3 in a function reaches the others: synchronously, asynchronously, and with their errors."""
    emulator = start(FUNCTIONS)
    direct = emulator.invoke("call", {"function": "echo", "payload": [1, 2]}).json()
    assert (direct["status"], json.loads(direct["payload"])) == (200, [1, 2])
    failed = emulator.invoke("call", {"function": "fail", "payload": {}}).json()
    assert (failed["status"], failed["error"]) == (200, "Unhandled")
    later = emulator.invoke("call", {"function": "echo", "payload": 1, "type": "Event"}).json()
    assert later["status"] == 202
    wait_until(lambda: emulator.counts()["echo"].invocations == 2, "the event was processed")


def test_a_client_context_reaches_who_is_waited_for(start: Start, tmp_path: Path) -> None:
    """Lambda passes it on for synchronous invocations only."""
    emulator = start(FUNCTIONS)
    for kind in ("RequestResponse", "Event"):
        payload = {"file": str(tmp_path / kind)}
        emulator.invoke("call", {"function": "note", "payload": payload, "type": kind, "custom": {"from": kind}})
    wait_until(lambda: emulator.counts()["note"].invocations == 2, "the event was processed")
    written = [json.loads((tmp_path / kind).read_text()) for kind in ("RequestResponse", "Event")]
    assert written == [{"from": "RequestResponse"}, None]


def test_invoke_api_errors(start: Start) -> None:
    """boto3 sees a throttle, a missing function and a bad payload as the errors of AWS."""
    emulator = start(FUNCTIONS)
    client = Clients(Place(aws_endpoint=emulator.gateway_address)).get("lambda")
    with pytest.raises(client.exceptions.TooManyRequestsException) as throttled:
        client.invoke(FunctionName="never", Payload=b"{}")
    assert throttled.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="nobody"):
        client.invoke(FunctionName="nobody", Payload=b"{}")
    with pytest.raises(ClientError, match="Could not parse"):
        client.invoke(FunctionName="echo", Payload=b"{no json")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:echo:live"
    assert json.load(client.invoke(FunctionName=arn, Payload=b"[3]")["Payload"]) == [3]
    client.close()


def test_unknown_function(start: Start) -> None:
    """A wrong name is answered with the right ones."""
    emulator = start(FUNCTIONS)
    with pytest.raises(UnknownFunctionError, match="no function 'ech'; there are fail, echo, call, never"):
        emulator.invoke("ech", {})
    with pytest.raises(TooManyRequestsError):
        emulator.invoke("never", {})
