"""How a host other than AWS's calls a function: what Lambda tells by its event and context, told for the others too."""

from __future__ import annotations

import os

from faasight.complain import complaints
from faasight.unfinished import UNFINISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from faasight.spans import Span
    from faasight.triggers import Trigger

    Read = Callable[[tuple[object, ...], dict[str, object]], "Call"]  # the arguments of one call of the handler


HTTP_LIBRARIES = frozenset({"flask", "werkzeug", "starlette"})
_BODIES = ("response", "body_iterator")  # of flask's response, of starlette's


def library(kind: type) -> str:
    """Return the package that a class comes from."""
    return kind.__module__.partition(".")[0]


class Call:
    """One call of a handler. Google's and Azure's are made of it."""

    __slots__ = ("context", "event", "function", "remaining_ms", "request_id")

    def __init__(self, event: object, context: object = None) -> None:
        self.event = event
        self.context = context
        self.request_id = ""  # "" if the host does not tell it
        self.remaining_ms = 0  # until the host's time limit; 0 if it has none, or does not tell
        self.function = ""  # its name, where one process has several functions

    def complete(self, trigger: Trigger) -> None:
        """Add to what the event told what only its host knows."""

    def body(self, result: object) -> str:
        """Return the name of the attribute of a response that has yet to run: a stream. "" for whatever else."""
        if not any(library(base) in HTTP_LIBRARIES for base in type(result).__mro__):
            return ""
        return next((place for place in _BODIES if type(getattr(result, place, None)) in UNFINISHED), "")

    def answer(self, span: Span, result: object, error: BaseException | None) -> tuple[object, BaseException | None]:
        """Read the result as this host does; return what is left of both to be read as Lambda's."""
        del span
        return result, error


def host(environ: dict[str, str] | os._Environ[str] = os.environ) -> ModuleType | None:
    """Return the module that knows our host: None on AWS, and where nobody says who it is."""
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        return None
    if "K_SERVICE" in environ or "FUNCTION_TARGET" in environ:
        from faasight import google

        return google
    if "FUNCTIONS_WORKER_RUNTIME" in environ:
        from faasight import azure

        return azure
    return None


def read(reader: Read, given: tuple[object, ...], named: dict[str, object]) -> Call | None:
    """Read one call; None if it cannot be: then it is taken as Lambda would make it."""
    try:
        return reader(given, named)
    except Exception as error:  # noqa: BLE001 - the function runs, whatever its host has given it
        complaints.failure("reading the call", error)
        return None


def complete(call: Call, trigger: Trigger) -> None:
    """Let the host add to the trigger; what it cannot tell is left out."""
    try:
        call.complete(trigger)
    except Exception as error:  # noqa: BLE001 - a context may be the user's own, with properties that raise
        complaints.failure("reading the call", error)


def answer(call: Call, span: Span, result: object, error: BaseException | None) -> tuple[object, BaseException | None]:
    """Let the host read the result; one that cannot be read is none."""
    try:
        return call.answer(span, result, error)
    except Exception as failed:  # noqa: BLE001 - as above
        complaints.failure("reading the result", failed)
        return None, error


def status(span: Span, code: Any) -> None:  # noqa: ANN401 - what a response says its status is
    """Note the status of an HTTP answer; from 500 on it is a failure."""
    if isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599:
        span.attributes["http.response.status_code"] = int(code)
        if code >= 500:
            span.fail(str(int(code)))
