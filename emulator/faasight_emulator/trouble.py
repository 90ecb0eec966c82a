"""What can happen in a sandbox, and what Lambda makes of it when it goes wrong."""

import signal
from dataclasses import dataclass

from faasight_emulator.invocation import Status, error_payload
from faasight_emulator.runtime_api import Failed, Said


@dataclass(frozen=True, slots=True)
class Exited:
    """The process has ended by itself or by a signal (a negative code)."""

    code: int


@dataclass(frozen=True, slots=True)
class ExtensionFailed:
    """An extension has ended, or said that it cannot go on."""

    name: str
    error_type: str
    message: str


@dataclass(frozen=True, slots=True)
class OverLimit:
    """The process has taken more memory than the function has."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time is up."""


Happened = Said | Exited | ExtensionFailed | OverLimit | TimedOut


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an init or an invocation went wrong: what the report says, and what the caller gets."""

    status: Status
    error_type: str
    payload: bytes
    ends_sandbox: bool = True


def handler_trouble(event: Failed) -> Trouble:
    """Return the trouble of a handler that raised: the sandbox lives on."""
    return Trouble("error", event.error_type, event.body, ends_sandbox=False)


def launch_trouble(error: OSError) -> Trouble:
    """Return the trouble of a runtime, or a wrapper around it, that could not even be run."""
    return _of("Runtime.InvalidEntrypoint", f"The runtime could not be started: {error}")


def trouble_of(event: Happened, request_id: str, limit: float) -> Trouble:
    """Return the trouble of anything that ends a sandbox, in Lambda's words.

    Args:
        event: what has happened instead of what should have.
        request_id: the invocation's; empty during the init.
        limit: the time limit in seconds, for the text.

    """
    who = f"RequestId: {request_id} Error: " if request_id else ""
    match event:
        case Failed(body, error_type):
            return Trouble("error", error_type, body)
        case TimedOut():
            return _of("Sandbox.Timedout", f"{who}Task timed out after {limit:.2f} seconds", "timeout")
        case ExtensionFailed(_, error_type, message):
            return _of(error_type, f"{who}{message}")
        case OverLimit():
            return _of("Runtime.OutOfMemory", f"{who}Runtime exited with error: signal: killed")
        case Exited(0):
            return _of("Runtime.ExitError", f"{who}Runtime exited without providing a reason")
        case Exited(code):
            how = f"exit status {code}" if code > 0 else f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"
            return _of("Runtime.ExitError", f"{who}Runtime exited with error: {how}")
        case _:
            return _of("Runtime.Unknown", f"{who}The runtime answered out of turn")


def _of(error_type: str, message: str, status: Status = "error") -> Trouble:
    return Trouble(status, error_type, error_payload(error_type, message))
