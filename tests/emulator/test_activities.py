"""Activities by the real boto3: workers fetch work, beat, answer; who hangs up gets none."""

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from faasight_emulator import Emulator
from polling import wait_until

Start = Callable[..., Emulator]
APPROVE = "arn:aws:states:us-east-1:123456789012:activity:approve"


def machine(**task: Any) -> str:
    """Return a template whose state machine `flow` waits for the activity `approve`."""
    state = {"Type": "Task", "Resource": "${Approve}", "End": True, **task}
    end = {"Type": "Pass", "Result": "nobody answered", "End": True}
    definition = {"StartAt": "Ask", "States": {"Ask": state, "Given up": end}}
    return f"""
  F: {{Type: AWS::Serverless::Function, Properties: {{Handler: app.echo}}}}
  Approve: {{Type: AWS::StepFunctions::Activity, Properties: {{Name: approve}}}}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {json.dumps(definition)}
      DefinitionSubstitutions: {{Approve: !Ref Approve}}
"""


def client(emulator: Emulator) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    # A worker waits for up to a minute, and a machine that runs other tests too may take longer.
    patient = Config(read_timeout=120, retries={"max_attempts": 0})
    return boto3.client("stepfunctions", endpoint_url=emulator.gateway_address, config=patient, **keys)


def test_a_worker_does_what_waits(start: Start) -> None:
    emulator = start(machine())
    steps = client(emulator)
    execution = emulator.execute("flow", {"sum": 9}, wait=False)
    work = steps.get_activity_task(activityArn=APPROVE, workerName="clerk")
    assert json.loads(work["input"]) == {"sum": 9}
    steps.send_task_heartbeat(taskToken=work["taskToken"])
    steps.send_task_success(taskToken=work["taskToken"], output='{"approved": true}')
    wait_until(lambda: execution.status != "RUNNING", "the execution has ended")
    assert (execution.status, json.loads(execution.output)) == ("SUCCEEDED", {"approved": True})
    events = steps.get_execution_history(executionArn=execution.arn)["events"]
    told = [event["type"] for event in events if event["type"].startswith("Activity")]
    assert told == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    started = next(event for event in events if event["type"] == "ActivityStarted")
    assert started["activityStartedEventDetails"] == {"workerName": "clerk"}
    with pytest.raises(ClientError, match="TaskDoesNotExist"):
        steps.send_task_success(taskToken=work["taskToken"], output="{}")


def test_a_worker_waits_for_work_and_may_fail(start: Start) -> None:
    emulator = start(machine())
    steps, found = client(emulator), []
    worker = threading.Thread(target=lambda: found.append(steps.get_activity_task(activityArn=APPROVE)))
    worker.start()
    execution = emulator.execute("flow", {}, wait=False)
    worker.join()
    client(emulator).send_task_failure(taskToken=found[0]["taskToken"], error="Refused", cause="too much")
    wait_until(lambda: execution.status != "RUNNING", "the execution has ended")
    assert (execution.status, execution.error, execution.cause) == ("FAILED", "Refused", "too much")


def test_one_that_hung_up_gets_no_work(start: Start) -> None:
    """What a worker asked for before it died goes to the next one."""
    emulator = start(machine())
    dead = http.client.HTTPConnection(urlsplit(emulator.gateway_address).netloc)
    headers = {"X-Amz-Target": "AWSStepFunctions.GetActivityTask"}
    dead.request("POST", "/", json.dumps({"activityArn": APPROVE, "workerName": "dead"}), headers)
    steps = client(emulator)
    steps.list_activities()  # a later request is answered: the first has been read
    dead.close()
    for _ in range(2):  # by then the emulator has seen that it is gone
        steps.list_activities()
    emulator.execute("flow", {"n": 1}, wait=False)
    assert json.loads(steps.get_activity_task(activityArn=APPROVE, workerName="alive")["input"]) == {"n": 1}


def test_silence_is_caught(start: Start) -> None:
    """Without heartbeats a task that a worker has taken ends; States.Timeout catches that, as on AWS."""
    emulator = start(machine(HeartbeatSeconds=1, Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Given up"}]))
    execution = emulator.execute("flow", {}, wait=False)
    work = client(emulator).get_activity_task(activityArn=APPROVE)
    assert work["taskToken"]
    wait_until(lambda: execution.status != "RUNNING", "the execution has ended")
    assert json.loads(execution.output) == "nobody answered"
    kinds = [event.kind for event in execution.history.events]
    assert "ActivityTimedOut" in kinds


def test_activities_come_and_go(start: Start) -> None:
    steps = client(start(machine()))
    arn = steps.create_activity(name="pack")["activityArn"]
    assert [one["name"] for one in steps.list_activities()["activities"]] == ["approve", "pack"]
    assert steps.describe_activity(activityArn=arn)["name"] == "pack"
    steps.delete_activity(activityArn=arn)
    for call in (steps.describe_activity, steps.get_activity_task):
        with pytest.raises(ClientError, match="ActivityDoesNotExist"):
            call(activityArn=arn)
