"""Who starts an execution: an API's route starts it, and the execution's trace names who did."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from faasight_emulator import Emulator
from faasight_emulator.states.callers import Caller, caller_of
from polling import wait_until

Start = Callable[..., Emulator]
RESOURCES = """
  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  Orders:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      Auth: {Authorizers: {Door: {FunctionArn: !GetAtt Guard.Arn, Identity: {Header: Authorization}}}}
  Guard: {Type: AWS::Serverless::Function, Properties: {Handler: guards.token}}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {StartAt: Same, States: {Same: {Type: Pass, End: true}}}
      Events:
        Order: {Type: Api, Properties: {Path: "/orders/{id}", Method: post, RestApiId: !Ref Orders}}
        Guarded:
          Type: Api
          Properties: {Path: /guarded, Method: post, RestApiId: !Ref Orders, Auth: {Authorizer: Door}}
        Plain: {Type: Api, Properties: {Path: /plain, Method: post}}
"""


def post(url: str, body: bytes) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_route_starts_an_execution(start: Start, sink: Any) -> None:
    """The answer is StartExecution's, the input the body: so SAM makes the integration."""
    emulator = start(RESOURCES)
    status, started = post(f"{emulator.gateway_address}/orders/7", b'{"tea": 2}')
    assert (status, set(started)) == (200, {"executionArn", "startDate"})
    assert ":execution:flow:" in started["executionArn"]

    def spans() -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for path, _, body in list(sink.posts):
            if path == "/v1/traces":
                found += json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        return {one["name"]: one for one in found}

    wait_until(lambda: {"POST /orders/{id}", "execution flow"} <= set(spans()), "the spans came")
    called, execution = spans()["POST /orders/{id}"], spans()["execution flow"]
    assert execution["parentSpanId"] == called["spanId"]
    told = {one["key"]: one["value"]["stringValue"] for one in called["attributes"]}
    assert (called["kind"], told["faasight.source.kind"], told["faasight.source.name"]) == (3, "api", "orders")
    assert told["aws.step_functions.state_machine.arn"].endswith(":stateMachine:flow")


def test_an_empty_body_is_an_empty_object_and_no_json_is_refused(start: Start) -> None:
    emulator = start(RESOURCES)
    assert post(f"{emulator.gateway_address}/plain", b"")[0] == 200
    status, told = post(f"{emulator.gateway_address}/plain", b"{no json")
    assert (status, told["__type"]) == (400, "InvalidExecutionInput")


def test_its_authorizer_decides(start: Start) -> None:
    assert post(f"{start(RESOURCES).gateway_address}/guarded", b"{}")[0] == 401


@pytest.mark.parametrize(
    ("value", "caller"),
    [
        ({"detail-type": "Placed", "source": "shop", "detail": {}}, Caller("bus", "default", "process Placed")),
        (
            {"detail-type": "Placed", "source": "shop", "detail": {"faasight-bus": "orders"}},
            Caller("bus", "orders", "process Placed"),
        ),
        (
            {"detail-type": "Scheduled Event", "source": "aws.events", "resources": ["arn:aws:events:::rule/nightly"]},
            Caller("schedule", "nightly", "schedule nightly"),
        ),
        ({"detail-type": 7, "source": "shop"}, None),
        ({"order": 1}, None),
        (["detail-type"], None),
        (None, None),
    ],
)
def test_events_tell_who_started_it(value: Any, caller: Caller | None) -> None:
    assert caller_of(value) == caller
