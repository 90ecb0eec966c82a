"""Step Functions' API, so that boto3's `client("stepfunctions")` and the AWS command line reach the state machines."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from faasight_emulator.http_server import Request, Response
from faasight_emulator.model import Place
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

Arguments = dict[str, Any]


class _RefusedError(Exception):
    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StatesApi:
    """POST / with a header X-Amz-Target, JSON 1.0."""

    def __init__(self, executions: Executions, place: Place) -> None:
        self._executions = executions
        self._place = place
        self._actions: dict[str, Callable[[Arguments, str], Awaitable[Any]]] = {
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
        }

    async def handle(self, request: Request) -> Response:
        """Answer one request in the service's words."""
        action = request.header("x-amz-target").removeprefix(TARGET)
        if action not in self._actions:
            return _error("UnknownOperationException", f"{action} is not emulated; known: {', '.join(self._actions)}")
        try:
            arguments = json.loads(request.body or b"{}")
            if not isinstance(arguments, dict):
                raise _RefusedError("ValidationException", "the body is no object")
            header = str(arguments.get("traceHeader") or request.header("x-amzn-trace-id"))
            answer = await self._actions[action](arguments, header)
        except _RefusedError as error:
            return _error(error.kind, str(error))
        except UnknownMachineError as error:
            return _error("StateMachineDoesNotExist", f"State Machine Does Not Exist: {error}")
        except ExecutionExistsError as error:
            return _error("ExecutionAlreadyExists", str(error))
        except ValueError as error:
            return _error("SerializationException", f"the body is no JSON: {error}")
        return Response(200, json.dumps(answer).encode(), _TYPE)

    async def _start(self, arguments: Arguments, header: str) -> Any:  # noqa: ANN401 -- JSON
        execution = self._begin(arguments, header)
        return {"executionArn": execution.arn, "startDate": execution.started}

    async def _start_sync(self, arguments: Arguments, header: str) -> Any:  # noqa: ANN401 -- JSON
        if self._executions.machine(str(arguments.get("stateMachineArn"))).kind != "EXPRESS":
            raise _RefusedError("StateMachineTypeNotSupported", "only EXPRESS state machines run synchronously")
        execution = self._begin(arguments, header)
        try:
            await asyncio.wait_for(self._executions.wait(execution), _SYNC_LIMIT)
        except TimeoutError:
            self._executions.abort(execution, "States.Timeout", "an express execution may take five minutes")
        milliseconds = round((execution.ended - execution.started) * 1000)
        return {
            **_described(execution, self._place),
            "billingDetails": {"billedDurationInMilliseconds": milliseconds, "billedMemoryUsedInMB": 64},
        }

    def _begin(self, arguments: Arguments, header: str) -> Execution:
        machine = self._executions.machine(str(arguments.get("stateMachineArn")))
        text = str(arguments.get("input") or "{}")
        if len(text.encode()) > _MAX_INPUT:
            raise _RefusedError("InvalidExecutionInput", f"the input is larger than {_MAX_INPUT} bytes")
        try:
            value = json.loads(text)
        except ValueError as error:
            raise _RefusedError("InvalidExecutionInput", f"Invalid State Machine Execution Input: {error}") from error
        return self._executions.start(machine, value, str(arguments.get("name") or ""), header)

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
        if not self._executions.answer(str(arguments.get("taskToken")), result):
            raise _RefusedError("TaskDoesNotExist", "no task waits for this token")
        return {}

    async def _heartbeat(self, arguments: Arguments, _: str) -> Any:  # noqa: ANN401 -- JSON
        if not self._executions.awaits(str(arguments.get("taskToken"))):
            raise _RefusedError("TaskTimedOut", "no task waits for this token")
        return {}

    def _execution(self, arguments: Arguments) -> Execution:
        arn = str(arguments.get("executionArn"))
        execution = self._executions.find(arn)
        if execution is None:
            raise _RefusedError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution


_TYPE = (("content-type", "application/x-amz-json-1.0"),)


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
