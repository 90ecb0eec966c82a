"""Asynchronous invocations and the Invoke API: retries with one request id, dead letters, destinations."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from faasight_emulator import Emulator, TooManyRequestsError, UnknownFunctionError
from faasight_emulator.aws import Clients
from faasight_emulator.model import Place
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
      EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: SQS, Destination: !GetAtt Done.Arn}}}
  Call: {Type: AWS::Serverless::Function, Properties: {Handler: app.call, Timeout: 20}}
  Never: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo, ReservedConcurrentExecutions: 0}}
"""


def received(emulator: Emulator, queue: str) -> dict[str, Any]:
    """Return the message that comes to a queue."""
    sqs = Clients(emulator.place).get("sqs")
    url = f"{emulator.place.aws_endpoint}/{emulator.place.account}/{queue}"

    def ask() -> list[dict[str, Any]]:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"])
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
    assert "lost" in attributes["ErrorMessage"]
    starts = sink.wait_for("fail", "platform.start", 3)
    assert [record["requestId"] for record in starts] == [submitted.request_id] * 3
    assert emulator.counts()["fail"].errors == 3


def test_on_success_destination(start: Start) -> None:
    """A success is told to its destination in the shape of Lambda's invocation record."""
    emulator = start(FUNCTIONS)
    emulator.invoke("echo", {"n": 1}, asynchronous=True)
    record = json.loads(received(emulator, "done")["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["requestContext"]["functionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:echo"
    assert (record["requestPayload"], record["responsePayload"]) == ({"n": 1}, {"n": 1})


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
