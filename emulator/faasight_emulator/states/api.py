"""Step Functions' API, so that boto3's `client("stepfunctions")` and the AWS command line reach the state machines."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from faasight_emulator.http_server import Request, Response
from faasight_emulator.model import Place
from faasight_emulator.states.activities import MARK, Activities
from faasight_emulator.states.callers import Caller
from faasight_emulator.states.definition import StateMachine
from faasight_emulator.states.errors import StatesError
from faasight_emulator.states.executions import (
    Execution,
    ExecutionExistsError,
    Executions,
    UnknownMachineError,
    machine_arn,
)
from faasight_emulator.states.history import page

TARGET = "AWSStepFunctions."
_MAX_INPUT = 262_144
_SYNC_LIMIT = 300.0  # seconds that an express execution may take
_POLL_LIMIT = 60.0  # seconds that GetActivityTask waits for work

Arguments = dict[str, Any]
Action = Callable[[Arguments, str], Awaitable[Any]]


class _RefusedError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StatesApi:
    """POST / with a header X-Amz-Target, JSON 1.0."""

    def __init__(self, executions: Executions, activities: Activities, place: Place) -> None:
        self._executions = executions
        self._activities = activities
        self._place = place
        self._actions: dict[str, Action] = {
            "StartExecution": self._start,
            "StartSyncExecution": self._start_sync,
            "StopExecution": self._stop,
            "DescribeExecution": self._describe,
            "GetExecutionHistory": self._history,
            "ListExecutions": self._list,
            "ListStateMachines": self._list_machines,
            "DescribeStateMachine": self._describe_machine,
            "SendTaskSuccess": self._send,
            "SendTaskFailure": self._send,
            "SendTaskHeartbeat": self._heartbeat,
            "CreateActivity": self._create_activity,
            "DeleteActivity": self._delete_activity,
            "DescribeActivity": self._describe_activity,
            "ListActivities": self._list_activities,
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request in the service's words."""
        action = request.header("x-amz-target").removeprefix(TARGET)
        if action == "GetActivityTask":
            return await self._refusing(lambda arguments, _: self._fetch(arguments, request.gone), request.body, "")
        if action not in self._actions:
            return _error("UnknownOperationException", f"{action} is not emulated; known: {', '.join(self._actions)}")
        return await self._refusing(self._actions[action], request.body, request.header("x-amzn-trace-id"))

    async def start_by(
        self, caller: Caller, machine: StateMachine, body: bytes, header: str, *, wait: bool
    ) -> Response:
        """Start a machine with a request's body, as API Gateway's integrations do; `wait` is for its end.

        SAM makes one of each event of type Api, which does not wait; StartSyncExecution is for OpenAPI definitions.
        """
        arguments = {"stateMachineArn": machine_arn(machine, self._place), "input": body.decode("utf-8", "replace")}

        async def begin(given: Arguments, header: str) -> Any:  # noqa: ANN401 -- JSON
            return await (self._start_sync if wait else self._start)(given, header, caller)

        return await self._refusing(begin, json.dumps(arguments).encode(), header)

    async def _refusing(self, action: Action, body: bytes, header: str) -> Response:
        """Answer by an action, or with its refusal."""
        try:
            arguments = json.loads(body or b"{}")
            if not isinstance(arguments, dict):
                raise _RefusedError("ValidationException", "the body is no object")
            answer = await action(arguments, str(arguments.get("traceHeader") or header))
        except _RefusedError as error:
            return _error(error.kind, str(error))
        except UnknownMachineError as error:
            return _error("StateMachineDoesNotExist", f"State Machine Does Not Exist: {error}")
        except ExecutionExistsError as error:
            return _error("ExecutionAlreadyExists", str(error))
        except ValueError as error:
            return _error("SerializationException", f"the body is no JSON: {error}")
        return Response(200, json.dumps(answer).encode(), _TYPE)

    async def _start(self, arguments: Arguments, header: str, caller: Caller | None = None) -> Any:  # noqa: ANN401 -- JSON
        execution = self._begin(arguments, header, caller)
        return {"executionArn": execution.arn, "startDate": execution.started}

    async def _start_sync(self, arguments: Arguments, header: str, caller: Caller | None = None) -> Any:  # noqa: ANN401 -- JSON
        if self._executions.machine(str(arguments.get("stateMachineArn"))).kind != "EXPRESS":
            raise _RefusedError("StateMachineTypeNotSupported", "only EXPRESS state machines run synchronously")
        execution = self._begin(arguments, header, caller)
        try:
            await asyncio.wait_for(self._executions.wait(execution), _SYNC_LIMIT)
        except TimeoutError:
            self._executions.abort(execution, "States.Timeout", "an express execution may take five minutes")
        milliseconds = round((execution.ended - execution.started) * 1000)
        return {
            **_described(execution, self._place),
            "billingDetails": {"billedDurationInMilliseconds": milliseconds, "billedMemoryUsedInMB": 64},
        }

    def _begin(self, arguments: Arguments, header: str, caller: Caller | None = None) -> Execution:
        machine = self._executions.machine(str(arguments.get("stateMachineArn")))
        text = str(arguments.get("input") or "{}")
        if len(text.encode()) > _MAX_INPUT:
            raise _RefusedError("InvalidExecutionInput", f"the input is larger than {_MAX_INPUT} bytes")
        try:
            value = json.loads(text)
        except ValueError as error:
            raise _RefusedError("InvalidExecutionInput", f"Invalid State Machine Execution Input: {error}") from error
        return self._executions.start(machine, value, str(arguments.get("name") or ""), header, caller)

    async def _stop(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        execution = self._execution(arguments)
        self._executions.abort(execution, str(arguments.get("error", "")), str(arguments.get("cause", "")))
        return {"stopDate": execution.ended}

    async def _describe(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        return _described(self._execution(arguments), self._place)

    async def _history(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        execution = self._execution(arguments)
        if not execution.history.kept:
            raise _RefusedError("StateMachineTypeNotSupported", "express executions have no history")
        try:
            return page(execution.history.events, arguments)
        except (ValueError, TypeError) as error:
            raise _RefusedError("InvalidToken", str(error)) from error

    async def _list(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        machine = self._executions.machine(str(arguments.get("stateMachineArn")))
        wanted = arguments.get("statusFilter")
        found = [one for one in self._executions.all() if one.machine is machine and wanted in (None, one.status)]
        return {"executions": [_summary(one, self._place) for one in found[: arguments.get("maxResults") or 100]]}

    async def _list_machines(self, _arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        return {
            "stateMachines": [
                {"stateMachineArn": arn, "name": one.name, "type": one.kind, "creationDate": 0}
                for arn, one in self._executions.machines.items()
            ]
        }

    async def _describe_machine(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        machine = self._executions.machine(str(arguments.get("stateMachineArn")))
        return {
            "stateMachineArn": machine_arn(machine, self._place),
            "name": machine.name,
            "status": "ACTIVE",
            "type": machine.kind,
            "definition": json.dumps(machine.definition),
            "roleArn": f"arn:aws:iam::{self._place.account}:role/{machine.name}",
            "creationDate": 0,
        }

    async def _send(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        result: Any
        if "output" in arguments:
            try:
                result = json.loads(str(arguments["output"]))
            except ValueError as error:
                raise _RefusedError("InvalidOutput", f"the output is no JSON: {error}") from error
        else:
            error_name = str(arguments.get("error") or "States.TaskFailed")
            result = StatesError(error_name, str(arguments.get("cause", "")), task=True)
        if not self._executions.tokens.send(str(arguments.get("taskToken")), result):
            raise _RefusedError("TaskDoesNotExist", "no task waits for this token")
        return {}

    async def _heartbeat(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        if not self._executions.tokens.beat(str(arguments.get("taskToken"))):
            raise _RefusedError("TaskTimedOut", "no task waits for this token")
        return {}

    async def _fetch(self, arguments: Arguments, gone: Callable[[], bool]) -> Any:  # noqa: ANN401 -- JSON
        arn, worker = self._activity(arguments), str(arguments.get("workerName") or "")
        work = await self._activities.take(arn, worker, gone, _POLL_LIMIT)
        return {} if work is None else {"taskToken": work.token, "input": json.dumps(work.argument)}

    async def _create_activity(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        arn = self._place.arn("states", f"{MARK.strip(':')}:{arguments.get('name')}")
        self._activities.create(arn)
        return {"activityArn": arn, "creationDate": 0}

    async def _delete_activity(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        self._activities.delete(str(arguments.get("activityArn")))
        return {}

    async def _describe_activity(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        return _activity(self._activity(arguments))

    async def _list_activities(self, _arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        return {"activities": [_activity(arn) for arn in self._activities.all()]}

    def _activity(self, arguments: Arguments) -> str:
        arn = str(arguments.get("activityArn"))
        if arn not in self._activities.all():
            raise _RefusedError("ActivityDoesNotExist", f"Activity Does Not Exist: '{arn}'")
        return arn

    def _execution(self, arguments: Arguments) -> Execution:
        arn = str(arguments.get("executionArn"))
        execution = self._executions.find(arn)
        if execution is None:
            raise _RefusedError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution


_TYPE = (("content-type", "application/x-amz-json-1.0"),)


def _activity(arn: str) -> dict[str, Any]:
    return {"activityArn": arn, "name": arn.rpartition(":")[2], "creationDate": 0}


def _summary(execution: Execution, place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {
        "executionArn": execution.arn,
        "stateMachineArn": machine_arn(execution.machine, place),
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started,
    }
    return {**told, "stopDate": execution.ended} if execution.ended else told


def _described(execution: Execution, place: Place) -> dict[str, Any]:
    told = {**_summary(execution, place), "input": json.dumps(execution.input)}
    if execution.status == "SUCCEEDED":
        told["output"] = execution.output
    elif execution.status != "RUNNING":
        told |= {"error": execution.error, "cause": execution.cause}
    return told


def _error(kind: str, message: str) -> Response:
    return Response(400, json.dumps({"__type": kind, "message": message}).encode(), _TYPE)
