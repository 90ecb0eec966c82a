"""What can go wrong in an execution: errors by the names that Retry and Catch match."""

import json
from collections.abc import Sequence

from faasight_emulator.invocation import Json

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
HEARTBEAT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
NO_CHOICE = "States.NoChoiceMatched"
PARAMETER_PATH = "States.ParameterPathFailure"
RESULT_PATH = "States.ResultPathMatchFailure"
READER = "States.ItemReaderFailed"
WRITER = "States.ResultWriterFailed"
QUERY = "States.QueryEvaluationError"
INTRINSIC = "States.IntrinsicFailure"
DATA_LIMIT = "States.DataLimitExceeded"
TOLERATED = "States.ExceedToleratedFailureThreshold"
# These end the execution whatever it catches.
_FATAL = (RUNTIME, DATA_LIMIT)


class StatesError(Exception):
    """An error of a state, by name and cause. `task` says that a task reported it, so that States.TaskFailed holds."""

    def __init__(self, name: str, cause: str = "", *, task: bool = False) -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause
        self.task = task

    def output(self) -> Json:
        """Return what a Catch gets."""
        return {"Error": self.name, "Cause": self.cause}

    def matched_by(self, names: Sequence[str]) -> bool:
        """Whether an ErrorEquals names it: itself, States.ALL, or States.TaskFailed for all but time-outs."""
        if self.name in names or (self.name == HEARTBEAT and TIMEOUT in names):
            return True
        if self.name in _FATAL:
            return False
        return ALL in names or (TASK_FAILED in names and self.task and self.name not in (TIMEOUT, HEARTBEAT))


def cause_of(payload: bytes) -> tuple[str, str]:
    """Return error name and cause of a function's error object, as Step Functions reads it."""
    try:
        answer = json.loads(payload)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return str(answer.get("errorType") or "Error"), json.dumps(answer)
    return "Error", payload.decode("utf-8", "replace")
