"""State machines over real functions: tasks, branches, retries, catches, services, and Step Functions' own API."""

import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator, Execution, TemplateError, UnknownMachineError
from faasight_emulator.aws import Clients
from faasight_emulator.model import Place
from faasight_emulator.template import Template
from polling import wait_until

Start = Callable[..., Emulator]
STATES = "arn:aws:states:us-east-1:123456789012"

FUNCTIONS = "".join(
    f"  {name.title()}: {{Type: AWS::Serverless::Function, Properties: {{Handler: steps.{name}}}}}\n"
    for name in ("echo", "add", "flaky", "fail", "slow", "trace")
)


def machine(definition: dict[str, Any], more: str = "") -> str:
    """Return a template with a state machine `Flow` over the functions."""
    names = ("Echo", "Add", "Flaky", "Fail", "Slow", "Trace")
    substitutions = ", ".join(f"{name}: !GetAtt {name}.Arn" for name in names)
    return f"""{FUNCTIONS}
  Box: {{Type: AWS::SQS::Queue}}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {json.dumps(definition)}
      DefinitionSubstitutions: {{{substitutions}, Box: !Ref Box}}
{more}"""


def flow(**states: dict[str, Any]) -> dict[str, Any]:
    """Return a definition that starts at the first state; the others follow in turn unless they say otherwise."""
    names = list(states)
    for name, following in zip(names, [*names[1:], None], strict=True):
        if states[name]["Type"] not in ("Choice", "Succeed", "Fail") and "End" not in states[name]:
            states[name].setdefault(*(("Next", following) if following else ("End", True)))
    return {"StartAt": names[0], "States": states}


def task(name: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"${{{name}}}"} | more


@pytest.fixture
def run(start: Start) -> Callable[..., Execution]:
    """Run a definition with an input; returns the execution when it has ended."""

    def go(definition: dict[str, Any], value: Any) -> Execution:
        return start(machine(definition)).execute("flow", value)

    return go


def output(execution: Execution) -> Any:
    assert execution.status == "SUCCEEDED", (execution.error, execution.cause)
    return json.loads(execution.output)


def test_input_and_output(run: Callable[..., Execution]) -> None:
    """Paths, parameters and selectors work in AWS's order, with both kinds of Lambda task."""
    payload = {
        "FunctionName": "${Add}",
        "Payload": {"a.$": "$.sum", "b.$": "States.ArrayLength($$.Execution.Input.in)"},
    }
    definition = flow(
        First=task("Add", InputPath="$.in[0]", Parameters={"a.$": "$.x", "b": 2}, ResultSelector={"sum.$": "$.sum"}),
        Second=task("", Resource="arn:aws:states:::lambda:invoke", Parameters=payload, ResultPath="$.second"),
        Third={"Type": "Pass", "Parameters": {"t.$": "$.second.Payload.sum", "code.$": "$.second.StatusCode"}},
        Fourth={"Type": "Pass", "Result": {"done": True}, "ResultPath": "$.fixed", "OutputPath": "$"},
    )
    definition["States"]["Second"]["Resource"] = "arn:aws:states:::lambda:invoke"
    assert output(run(definition, {"in": [{"x": 5}, 0]})) == {"t": 9, "code": 200, "fixed": {"done": True}}


WRONG: list[dict[str, Any]] = [
    {"Type": "Wait", "Seconds": "soon"},
    {"Type": "Wait", "Timestamp": "tomorrow"},
    {"Type": "Task", "Resource": "arn:aws:states:::sqs:dance", "Parameters": {}},
    {"Type": "Task", "Resource": "arn:aws:states:::nothing:here", "Parameters": {}},
    {"Type": "Task", "Resource": "arn:aws:ecs:::x"},
    {"Type": "Map", "ItemProcessor": flow(P={"Type": "Pass"}), "MaxConcurrency": "many"},
    {
        "Type": "Task",
        "Resource": "${Echo}",
        "Retry": [{"ErrorEquals": 5, "IntervalSeconds": "x"}],
        "TimeoutSeconds": {},
    },
    {"Type": "Pass", "Parameters": {"x.$": "States.Format('{}', States.Format('{}', States.Nope()))"}},
]


def test_definitions_that_go_wrong(start: Start) -> None:
    """What is only found while it runs fails the execution with an error of AWS's names, and the emulator runs on."""
    one = "  Flow{}: {{Type: AWS::Serverless::StateMachine, Properties: {{Definition: {}}}}}\n"
    machines = "".join(one.format(n, json.dumps(flow(Wrong=wrong))) for n, wrong in enumerate(WRONG))
    emulator = start(FUNCTIONS + machines.replace('"${Echo}"', "!GetAtt Echo.Arn"))
    for n, wrong in enumerate(WRONG):
        execution = emulator.execute(f"Flow{n}", [1])
        assert execution.status == "FAILED", wrong
        assert execution.error.startswith("States."), (wrong, execution.error)


def test_paths_that_lead_nowhere(start: Start) -> None:
    """ResultPath writes into the raw input; a path of Parameters that finds nothing may be caught, InputPath's not."""
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.problem", "Next": "Caught"}]
    definition = flow(
        Ask=task("Echo", InputPath="$.in", Parameters={"y.$": "$.x"}, ResultPath="$.out", Catch=catch, End=True),
        Caught={"Type": "Pass", "OutputPath": "$.problem.Error"},
    )
    emulator = start(machine(definition))
    assert output(emulator.execute("flow", {"in": {"x": 1}})) == {"in": {"x": 1}, "out": {"y": 1}}
    assert output(emulator.execute("flow", {"in": {}})) == "States.ParameterPathFailure"
    assert emulator.execute("flow", {}).error == "States.Runtime"


def test_choice_wait_and_ends(start: Start) -> None:
    """A Choice finds its way; Wait waits; Succeed and Fail end as they say."""
    rules = [{"Variable": "$.n", "NumericGreaterThan": 5, "Next": "Soon"}]
    definition = flow(
        Which={"Type": "Choice", "Choices": rules, "Default": "No"},
        Soon={"Type": "Wait", "SecondsPath": "$.wait", "Next": "Yes"},
        Yes={"Type": "Succeed"},
        No={"Type": "Fail", "Error": "TooSmall", "CausePath": "States.Format('{} is too small', $.n)"},
    )
    emulator = start(machine(definition))
    began = time.monotonic()
    assert output(emulator.execute("Flow", {"n": 6, "wait": 0.3})) == {"n": 6, "wait": 0.3}
    assert time.monotonic() - began >= 0.3
    failed = emulator.execute("flow", {"n": 5})
    assert (failed.status, failed.error, failed.cause) == ("FAILED", "TooSmall", "5 is too small")
    assert emulator.execute("flow", {}).error == "States.Runtime", "a variable that is not there"
    with pytest.raises(UnknownMachineError, match="no state machine 'flo'; there are flow"):
        emulator.execute("flo", {})


def test_branches_and_items(run: Callable[..., Execution]) -> None:
    """Parallel gives a list of its branches' outputs, Map one of its items'; both may be nested."""
    each = flow(Sum=task("Add", Parameters={"a.$": "$.n", "b.$": "$.i"}))
    items = {
        "Type": "Map",
        "ItemsPath": "$.list",
        "ItemSelector": {"n.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **each},
        "MaxConcurrency": 2,
        "ResultSelector": {"sums.$": "$[*].sum"},
    }
    definition = flow(Both={"Type": "Parallel", "Branches": [flow(Echo=task("Echo")), flow(Items=items)]})
    found = output(run(definition, {"list": [10, 20, 30]}))
    assert found == [{"list": [10, 20, 30]}, {"sums": [10, 21, 32]}]


def test_the_history_of_branches_and_failures(run: Callable[..., Execution]) -> None:
    """Each branch goes on from where it parted; what failed says why."""
    one = flow(P={"Type": "Pass"})
    definition = flow(
        Both={"Type": "Parallel", "Branches": [one, one]},
        Each={"Type": "Map", "ItemProcessor": one},
        Bad=task("Fail"),
    )
    execution = run(definition, {})
    events = [one.told(data=True) for one in execution.history.events]
    kinds = [one["type"] for one in events]
    fork = kinds.index("ParallelStateStarted") + 1
    assert [one["previousEventId"] for one in events if one["type"] == "PassStateEntered"][:2] == [fork, fork]
    assert kinds.count("MapIterationStarted") == kinds.count("MapIterationSucceeded") == 2
    assert kinds[-2:] == ["LambdaFunctionFailed", "ExecutionFailed"]
    assert events[-2]["lambdaFunctionFailedEventDetails"]["error"] == "ValueError"
    assert events[-1]["previousEventId"] == len(events) - 1


def test_retries_and_catches(start: Start) -> None:
    """A task is retried for the errors that are named, as often as said; what is left is caught, with its cause."""
    retry = [
        {"ErrorEquals": ["SomethingElse"], "MaxAttempts": 9},
        {"ErrorEquals": ["NotYet"], "IntervalSeconds": 0.05, "BackoffRate": 1, "MaxAttempts": 2},
    ]
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.problem", "Next": "Sorry"}]
    definition = flow(
        Flaky=task("Flaky", Retry=retry, Catch=catch, End=True), Sorry={"Type": "Pass", "OutputPath": "$.problem"}
    )
    emulator = start(machine(definition))
    assert output(emulator.execute("flow", {"failures": 2})) == {"tries": 3}
    found = output(emulator.execute("flow", {"failures": 9}))
    assert found["Error"] == "NotYet"
    assert json.loads(found["Cause"])["errorMessage"] == "try 6", "two retries, then it was caught"
    assert emulator.counts()["flaky"].invocations == 6


def test_a_branch_that_fails_ends_the_others(run: Callable[..., Execution]) -> None:
    """An error of one branch stops the rest, and may be caught as the Parallel state's."""
    slow, day = task("Slow", Parameters={"seconds": 20}), {"Type": "Wait", "Seconds": 86_400}
    branches = [flow(Slow=slow), flow(Wait=day), flow(Fail=task("Fail"))]
    catch = [{"ErrorEquals": ["ValueError"], "Next": "Caught"}]
    definition = flow(
        Both={"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True},
        Caught={"Type": "Pass", "Parameters": {"why.$": "$.Error"}},
    )
    assert output(run(definition, {})) == {"why": "ValueError"}


def test_limits(start: Start) -> None:
    """A task and an execution have their time limits; failures of items may be tolerated."""
    definition = flow(Slow=task("Slow", TimeoutSeconds=1, Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]))
    definition["States"]["Late"] = {"Type": "Pass", "OutputPath": "$.Error", "End": True}
    assert output(start(machine(definition)).execute("flow", {"seconds": 9})) == "States.Timeout"
    late = start(machine(flow(Wait={"Type": "Wait", "Seconds": 30}) | {"TimeoutSeconds": 1})).execute("flow", {})
    assert (late.status, late.error) == ("TIMED_OUT", "States.Timeout")
    each = flow(Add=task("Add"))
    items = {"Type": "Map", "ItemProcessor": each, "ToleratedFailureCount": 1}
    emulator = start(machine(flow(Items=items)))
    one, bad = {"a": 1, "b": 2}, {"a": 1}
    assert [item.get("sum", item.get("Error")) for item in output(emulator.execute("flow", [one, bad]))] == [
        3,
        "KeyError",
    ]
    assert emulator.execute("flow", [bad, one, bad]).error == "States.ExceedToleratedFailureThreshold"


def test_services(start: Start) -> None:
    """SQS takes any JSON as its body; a service's refusal is an error by AWS's name."""
    send = {"QueueUrl.$": "$.url", "MessageBody": {"n.$": "$.n"}}
    catch = [{"ErrorEquals": ["SQS.QueueDoesNotExistException", "SQS.NonExistentQueueException"], "Next": "Caught"}]
    definition = flow(
        Send={
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Parameters": send,
            "ResultSelector": {"id.$": "$.MessageId"},
            "Catch": catch,
            "End": True,
        },
        Caught={"Type": "Pass", "Result": "no such queue"},
    )
    emulator = start(machine(definition))
    box = f"{emulator.place.aws_endpoint}/{emulator.place.account}/box"
    assert len(output(emulator.execute("flow", {"url": box, "n": 7}))["id"]) == 36
    sqs = Clients(emulator.place).get("sqs")
    message = sqs.receive_message(QueueUrl=box, AttributeNames=["AWSTraceHeader"])["Messages"][0]
    assert json.loads(message["Body"]) == {"n": 7}
    assert message["Attributes"]["AWSTraceHeader"].startswith("Root=1-"), "the consumer is in the execution's trace"
    assert output(emulator.execute("flow", {"url": box + "x", "n": 7})) == "no such queue"


def test_nested_executions(start: Start) -> None:
    """A state machine that starts another one waits for it with .sync, and has its failure."""
    other = """
  Outer:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition:
        StartAt: Go
        States:
          Go:
            Type: Task
            Resource: arn:aws:states:::states:startExecution.sync:2
            Parameters: {StateMachineArn: !Ref Flow, Input: {"a.$": $.a, b: 1}}
            OutputPath: $.Output
            End: true
"""
    emulator = start(machine(flow(Add=task("Add")), other))
    assert output(emulator.execute("outer", {"a": 4})) == {"sum": 5}
    assert emulator.execute("outer", {"a": "x"}).error == "States.TaskFailed"


def test_what_a_task_knows_of_its_trace(run: Callable[..., Execution]) -> None:
    """Lambda gets the execution's trace: as X-Ray's header, and for the wrapper the attempt's span."""
    seen = output(run(flow(Trace=task("Trace")), {"x": 1}))
    of_arn = run(flow(Trace=task("Trace", Parameters={"arn.$": "$$.Execution.Id"})), {})
    found = output(of_arn)
    trace_id = sha256(found["event"]["arn"].encode()).hexdigest()[:32]
    assert found["header"].startswith(f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent=")
    assert found["custom"]["traceparent"].split("-")[1] == trace_id
    assert found["custom"]["tracestate"] == "faasight=w:flow"
    assert seen["event"] == {"x": 1}


def spans(sink: Any) -> list[dict[str, Any]]:
    """Return the spans that came from state machines, attributes as a mapping."""
    found = []
    for path, headers, body in sink.posts:
        if path != "/v1/traces" or headers.get("Content-Type") != "application/json":
            continue
        for resource in json.loads(body)["resourceSpans"]:
            for span in resource["scopeSpans"][0]["spans"]:
                values = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
                found.append(span | {"attributes": values})
    return found


def test_spans(start: Start, sink: Any) -> None:
    """The execution is one trace: a span for it, for each state and each attempt; what a Catch leads to is marked."""
    retry = [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 0.01, "MaxAttempts": 1}]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Undo"}]
    definition = flow(
        Keep=task("Echo"),
        Break=task("Fail", Retry=retry, Catch=catch, End=True),
        Undo=task("Echo"),
        Failed={"Type": "Fail", "Error": "Undone"},
    )
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    given = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    execution = start(machine(definition)).execute("flow", given)
    wait_until(lambda: any(span["name"] == "execution flow" for span in spans(sink)), "the spans came")
    found = spans(sink)
    assert {span["traceId"] for span in found} == {trace}
    assert {span["attributes"]["faasight.execution_id"] for span in found} == {execution.arn}
    by_name = {span["name"]: span for span in found}
    root = by_name["execution flow"]
    assert (root["parentSpanId"], root["status"]["code"]) == ("00f067aa0ba902b7", 2)
    states = {"Keep", "Break", "Undo", "Failed"}
    assert {span["name"] for span in found if span["parentSpanId"] == root["spanId"]} == states
    assert by_name["Break"]["attributes"]["faasight.attempt"] == "2"
    attempts = [span for span in found if span["parentSpanId"] == by_name["Break"]["spanId"]]
    assert [span["name"] for span in attempts] == ["invoke fail"] * 2
    assert {span["attributes"]["error.type"] for span in attempts} == {"ValueError"}
    marked = {span["name"] for span in found if span["attributes"].get("faasight.step") == "compensation"}
    assert marked == {"Undo"}


def test_the_api(start: Start) -> None:
    """boto3 starts, describes, lists and stops executions, and sends a task's token back."""
    wait = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "TimeoutSeconds": 60}
    send = {"QueueUrl": "${Box}", "MessageBody": {"token.$": "$$.Task.Token"}}
    definition = flow(Ask=wait | {"Parameters": send}, Echo=task("Echo"))
    emulator = start(machine(definition))
    client = Clients(Place(aws_endpoint=emulator.gateway_address)).get("stepfunctions")
    arn = client.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    assert arn == f"{STATES}:stateMachine:flow"
    started = client.start_execution(stateMachineArn=arn, name="one", input='{"n": 1}')["executionArn"]
    assert started == f"{STATES}:execution:flow:one"

    assert client.start_execution(stateMachineArn=arn, name="one", input='{"n": 1}')["executionArn"] == started
    with pytest.raises(client.exceptions.ExecutionAlreadyExists):
        client.start_execution(stateMachineArn=arn, name="one", input='{"n": 2}')
    box = f"{emulator.place.aws_endpoint}/{emulator.place.account}/box"
    sqs = Clients(emulator.place).get("sqs")
    messages = wait_until(lambda: sqs.receive_message(QueueUrl=box, WaitTimeSeconds=1).get("Messages"), "it asks")
    token = json.loads(messages[0]["Body"])["token"]
    client.send_task_heartbeat(taskToken=token)
    client.send_task_success(taskToken=token, output='{"yes": true}')
    described = wait_until(
        lambda: (one := client.describe_execution(executionArn=started))["status"] != "RUNNING" and one, "it ends"
    )
    assert (described["status"], json.loads(described["output"])) == ("SUCCEEDED", {"yes": True})
    with pytest.raises(client.exceptions.TaskDoesNotExist):
        client.send_task_success(taskToken=token, output="{}")
    told = client.get_execution_history(executionArn=started)["events"]
    assert [(one["id"], one["previousEventId"]) for one in told] == [(n + 1, n) for n in range(len(told))]
    assert [one["type"] for one in told] == [
        "ExecutionStarted",
        *("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"),
        *("TaskStateEntered", "LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"),
        *("TaskStateExited", "ExecutionSucceeded"),
    ]
    assert told[2]["taskScheduledEventDetails"]["resource"] == "sendMessage.waitForTaskToken"
    assert json.loads(told[6]["stateEnteredEventDetails"]["input"]) == {"yes": True}
    page = client.get_execution_history(
        executionArn=started, reverseOrder=True, maxResults=1, includeExecutionData=False
    )
    assert page["events"][0]["executionSucceededEventDetails"] == {}
    assert [one["id"] for one in client.get_execution_history(executionArn=started, nextToken="11")["events"]] == [12]
    second = client.start_execution(stateMachineArn=arn)["executionArn"]
    client.stop_execution(executionArn=second, error="Enough")
    assert client.describe_execution(executionArn=second)["error"] == "Enough"
    last = client.get_execution_history(executionArn=second)["events"][-1]
    assert (last["type"], last["executionAbortedEventDetails"]["error"]) == ("ExecutionAborted", "Enough")
    statuses = [one["status"] for one in client.list_executions(stateMachineArn=arn)["executions"]]
    assert statuses == ["ABORTED", "SUCCEEDED"]
    with pytest.raises(client.exceptions.StateMachineDoesNotExist):
        client.start_execution(stateMachineArn=arn + "x")
    with pytest.raises(client.exceptions.InvalidExecutionInput):
        client.start_execution(stateMachineArn=arn, input="{")
    client.close()


def test_a_circle_holds_nobody_up(start: Start) -> None:
    """An execution that goes in circles leaves the others their time, and can be stopped; so can the emulator."""
    rules = [{"Variable": "$.n", "NumericEquals": 1, "Next": "Again"}]
    definition = flow(
        Again={"Type": "Pass", "Next": "Which"},
        Which={"Type": "Choice", "Choices": rules, "Default": "Add"},
        Add=task("Add"),
    )
    emulator = start(machine(definition))
    circling = emulator.execute("flow", {"n": 1}, wait=False)
    assert output(emulator.execute("flow", {"n": 2, "a": 1, "b": 1})) == {"sum": 2}
    assert circling.status == "RUNNING"
    emulator.stop()
    assert circling.status == "ABORTED"


def test_killed_functions_and_many_at_once(start: Start) -> None:
    """What kills a function is an error that can be caught; executions side by side do not mix."""
    catch = [{"ErrorEquals": ["Runtime.ExitError"], "ResultPath": "$.problem", "Next": "Caught"}]
    definition = flow(
        Leave={"Type": "Task", "Resource": "${Leave}", "Catch": catch, "End": True},
        Caught={"Type": "Pass", "OutputPath": "$.n"},
    )
    leave = "  Leave: {Type: AWS::Serverless::Function, Properties: {Handler: app.leave}}\n"
    text = machine(definition).replace("Box: !Ref Box}", "Leave: !GetAtt Leave.Arn}")
    emulator = start(leave + text, account_concurrency=4)
    begun = [emulator.execute("flow", {"code": 3, "n": n}, wait=False) for n in range(8)]
    wait_until(lambda: all(one.status != "RUNNING" for one in begun), "all have ended")
    ends = [(one.status, one.error or json.loads(one.output)) for one in begun]
    throttled = [end for end in ends if end == ("FAILED", "Lambda.TooManyRequestsException")]
    assert len(throttled) == 4, ends
    assert [end for n, end in enumerate(ends) if end not in throttled and end != ("SUCCEEDED", n)] == []


EXPRESS = """
  Quick:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      Definition: {StartAt: Add, States: {Add: {Type: Task, Resource: !GetAtt Add.Arn, End: true}}}
      Events:
        Every: {Type: Schedule, Properties: {Schedule: rate(1 minute), Input: '{"a": 1, "b": 2}'}}
        Order:
          Type: EventBridgeRule
          Properties: {Pattern: {source: [shop]}, InputPath: $.detail}
  By: {Type: AWS::Serverless::Function, Properties: {Handler: app.start_sync, Timeout: 20}}
"""


def test_from_a_function_and_from_events(start: Start, sink: Any) -> None:
    """A function's boto3 runs an express machine synchronously; a rule of a bus starts it too."""
    emulator = start(FUNCTIONS + EXPRESS)
    answer = emulator.invoke("by", {"machine": f"{STATES}:stateMachine:quick", "input": {"a": 2, "b": 3}}).json()
    assert (answer["status"], answer["output"]) == ("SUCCEEDED", '{"sum": 5}')
    entry = {"Source": "shop", "DetailType": "Order", "Detail": '{"a": 1, "b": 1}'}
    Clients(emulator.place).get("events").put_events(Entries=[entry])
    wait_until(lambda: emulator.counts()["add"].invocations == 2, "the rule has started it")


def test_definitions_in_files(template_file: Callable[[str], Path], tmp_path: Path) -> None:
    """DefinitionUri may be JSON or YAML; what is wrong in it, or missing, is told with its place."""
    text = FUNCTIONS + "  Flow: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: flow.asl.json}}\n"
    with pytest.raises(TemplateError, match=r"DefinitionUri: 'flow.asl.json' cannot be read \(No such file"):
        Template.load(template_file(text))
    (tmp_path / "flow.asl.json").write_text('{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "${F}"}}}')
    with pytest.raises(TemplateError, match=r"uses \$\{F\}; add it to DefinitionSubstitutions"):
        Template.load(template_file(text))
    (tmp_path / "flow.asl.json").write_text("StartAt: A\nStates:\n  A: {Type: Pass}\n")
    with pytest.raises(TemplateError, match="state 'A' has neither 'Next' nor 'End: true'"):
        Template.load(template_file(text))
    (tmp_path / "flow.asl.json").write_text("StartAt: A\nStates:\n  A: {Type: Succeed}\n")
    assert Template.load(template_file(text)).machines[0].name == "flow"
