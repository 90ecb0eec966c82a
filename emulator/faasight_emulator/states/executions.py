"""The executions of all state machines: started, waited for, stopped, remembered."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from faasight_emulator.errors import EmulatorError
from faasight_emulator.invocation import Json
from faasight_emulator.model import Place
from faasight_emulator.platform import Sink
from faasight_emulator.states.callers import Caller, caller_of
from faasight_emulator.states.definition import StateMachine
from faasight_emulator.states.errors import RUNTIME, TASK_FAILED, TIMEOUT, StatesError
from faasight_emulator.states.history import History
from faasight_emulator.states.interpreter import Interpreter, Scope, moment
from faasight_emulator.states.targets import MACHINE_ARN
from faasight_emulator.states.tasks import Tasks
from faasight_emulator.states.tokens import Tokens
from faasight_emulator.states.trace import ExecutionTrace, Workflow

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
_KEPT = 1000  # executions that have ended are remembered, the newest


class UnknownMachineError(EmulatorError):
    """There is no state machine of this ARN or name."""


class ExecutionExistsError(EmulatorError):
    """An execution of this name was started with another input."""


@dataclass(slots=True)
class Execution:
    """One execution. Times are Unix time in seconds; `output` is JSON text."""

    machine: StateMachine
    arn: str
    name: str
    input: Json
    status: Status = "RUNNING"
    output: str = ""
    error: str = ""
    cause: str = ""
    started: float = field(default_factory=time.time)
    ended: float = 0.0
    work: "asyncio.Task[None] | None" = None
    history: History = field(default_factory=History)
    caller: Caller | None = None


class Executions:
    """Runs executions. All on the event loop. `tasks` is made with this as its Starter."""

    def __init__(
        self,
        machines: Iterable[StateMachine],
        place: Place,
        environment: str,
        sink: Sink,
        make_tasks: Callable[["Executions"], Tasks],
    ) -> None:
        self.machines = {machine_arn(one, place): one for one in machines}
        self._place = place
        self._environment = environment
        self._sink = sink
        self._tasks = make_tasks(self)
        self._executions: dict[str, Execution] = {}
        self.tokens = Tokens()

    def machine(self, name: str) -> StateMachine:
        """Return a state machine by its ARN, name or logical id. Raises UnknownMachineError."""
        plain = ":".join(name.split(":")[:7])
        for arn, one in self.machines.items():
            if plain in (arn, one.name, one.logical_id):
                return one
        known = ", ".join(one.name for one in self.machines.values()) or "none"
        raise UnknownMachineError(f"There is no state machine '{name}'; there are {known}.")

    def start(
        self, machine: StateMachine, value: Json, name: str = "", header: str = "", caller: Caller | None = None
    ) -> Execution:
        """Begin an execution. `header` is the X-Ray header of whoever starts it. Raises ExecutionExistsError."""
        name = name or str(uuid.uuid4())
        express = machine.kind == "EXPRESS"
        kind, suffix = ("express", f":{uuid.uuid4()}") if express else ("execution", "")
        arn = self._place.arn("states", f"{kind}:{machine.name}:{name}{suffix}")
        known = self._executions.get(arn)
        if known is not None:
            if known.input == value and known.status == "RUNNING":
                return known
            raise ExecutionExistsError(f"Execution Already Exists: '{arn}'")
        history = History(kept=not express)
        execution = Execution(machine, arn, name, value, history=history, caller=caller or caller_of(value))
        self._executions[arn] = execution
        execution.work = asyncio.get_running_loop().create_task(self._run(execution, header))
        self._forget()
        return execution

    async def wait(self, execution: Execution) -> Execution:
        """Return an execution when it has ended."""
        if execution.work is not None:
            await asyncio.wait({execution.work})
        return execution

    def find(self, arn: str) -> Execution | None:
        """Return an execution by its ARN."""
        return self._executions.get(arn)

    def all(self) -> list[Execution]:
        """Return the executions that are remembered, the newest first."""
        return list(reversed(self._executions.values()))

    def abort(self, execution: Execution, error: str = "", cause: str = "") -> None:
        """Stop an execution; one that has ended stays as it is."""
        if execution.status == "RUNNING" and execution.work is not None:
            self._end(execution, "ABORTED", error=error, cause=cause)
            execution.work.cancel()

    async def stop(self) -> None:
        """Stop all executions."""
        running = [one for one in self._executions.values() if one.status == "RUNNING"]
        for execution in running:
            self.abort(execution)
        await asyncio.gather(*(one.work for one in running if one.work is not None), return_exceptions=True)

    async def nested(self, argument: Json, *, wait: bool) -> Json:
        """Start an execution for a Task state, as startExecution and startExecution.sync:2 do. Raises StatesError."""
        try:
            given = argument.get("Input", "{}")
            value = json.loads(given) if isinstance(given, str) else given
            machine = self.machine(str(argument.get("StateMachineArn", "")))
            execution = self.start(machine, value, str(argument.get("Name", "")))
        except (EmulatorError, ValueError) as error:
            raise StatesError(f"StepFunctions.{type(error).__name__}", str(error), task=True) from error
        if not wait:
            return {"ExecutionArn": execution.arn, "StartDate": moment(execution.started)}
        try:
            await self.wait(execution)
        except asyncio.CancelledError:
            self.abort(execution)
            raise
        told = described(execution, self._place)
        if execution.status != "SUCCEEDED":
            raise StatesError(TASK_FAILED, json.dumps(told), task=True)
        return {**told, "Output": json.loads(execution.output)}

    async def _run(self, execution: Execution, header: str) -> None:
        machine = execution.machine
        who = Workflow(machine.name, "", self._place.account, self._place.region, 0, self._environment)
        trace = ExecutionTrace(who, execution.arn, execution.input, header, self._sink)
        interpreter = Interpreter(self._tasks, trace, self.tokens, execution.history)
        execution.history.began(execution.input, f"arn:aws:iam::{self._place.account}:role/{machine.name}")
        limit = machine.definition.get("TimeoutSeconds")
        arn = machine_arn(machine, self._place)
        parent = trace.parent
        if execution.caller is not None:  # its call ends at once; what it started stands below
            with trace.span(execution.caller.what, parent, execution.caller.attributes(arn)) as called:
                parent = called.id
        try:
            with trace.span(f"execution {machine.name}", parent, {MACHINE_ARN: arn}) as span:
                scope = Scope(self._context(execution), span.id)
                try:
                    work = interpreter.run(machine.definition, execution.input, scope)
                    output = await asyncio.wait_for(work, None if limit is None else float(limit))
                except TimeoutError as error:
                    raise StatesError(TIMEOUT, f"the execution took longer than {limit} s") from error
                except StatesError:
                    raise
                except Exception as error:
                    raise StatesError(RUNTIME, f"{type(error).__name__}: {error}") from error
            self._end(execution, "SUCCEEDED", output=json.dumps(output))
        except StatesError as error:
            status: Status = "TIMED_OUT" if error.name == TIMEOUT and error.cause.startswith("the exec") else "FAILED"
            self._end(execution, status, error=error.name, cause=error.cause)

    def _context(self, execution: Execution) -> Mapping[str, Any]:
        return {
            "Execution": {
                "Id": execution.arn,
                "Input": execution.input,
                "Name": execution.name,
                "RoleArn": f"arn:aws:iam::{self._place.account}:role/{execution.machine.name}",
                "StartTime": moment(execution.started),
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": machine_arn(execution.machine, self._place), "Name": execution.machine.name},
        }

    def _end(self, execution: Execution, status: Status, *, output: str = "", error: str = "", cause: str = "") -> None:
        if execution.status != "RUNNING":
            return
        execution.status, execution.output, execution.ended = status, output, time.time()
        execution.error, execution.cause = error, cause
        execution.history.ended(status, json.loads(output) if output else None, error, cause)

    def _forget(self) -> None:
        ended = [arn for arn, one in self._executions.items() if one.status != "RUNNING"]
        for arn in ended[: max(0, len(self._executions) - _KEPT)]:
            del self._executions[arn]


def machine_arn(machine: StateMachine, place: Place) -> str:
    """Return the ARN of a state machine."""
    return place.arn("states", f"stateMachine:{machine.name}")


def described(execution: Execution, place: Place) -> dict[str, Any]:
    """Return an execution as a Task state with startExecution.sync gets it."""
    told: dict[str, Any] = {
        "ExecutionArn": execution.arn,
        "Input": json.dumps(execution.input),
        "Name": execution.name,
        "StartDate": moment(execution.started),
        "StateMachineArn": machine_arn(execution.machine, place),
        "Status": execution.status,
    }
    if execution.ended:
        told["StopDate"] = moment(execution.ended)
    if execution.status == "SUCCEEDED":
        return {**told, "Output": execution.output}
    return {**told, "Error": execution.error, "Cause": execution.cause}
