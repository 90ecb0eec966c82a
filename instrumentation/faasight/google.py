"""Google Cloud Functions under the functions-framework: HTTP, CloudEvents, typed and background functions.

A function is handed a request or an event. What else its host knows stands in the request that carries it: execution
id, trace context. The framework is never imported here; it is there before the function is.
"""

from __future__ import annotations

import os
import sys

from faasight import calls
from faasight.calls import HTTP_LIBRARIES, Call, library
from faasight.complain import complaints
from faasight.context import extract
from faasight.invoke import observed_by
from faasight.triggers.reading import google_trace_id, mapping, tail, text, when

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType, TracebackType
    from typing import Any

    from faasight.agent import Agent
    from faasight.spans import Span
    from faasight.triggers import Trigger

_MAX_TIMEOUT_S = 3_600  # of Cloud Run
_SEVERITIES = {"WARN": "WARNING", "FATAL": "CRITICAL"}  # LogSeverity of Cloud Logging
_MESSAGING = frozenset({"timer", "pubsub"})  # what comes by HTTP and is called again after any answer but a 2xx


def observed(agent: Agent, handler: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wrap a function of the framework, below or above its decorators."""
    return observed_by(agent, handler, name, read)


def install(module: ModuleType, agent: Agent) -> None:
    """Wrap the target that the framework takes out of the user's module, once that is loaded (`faasight.auto`)."""
    original = module.get_user_function

    def get_user_function(*given: object, **named: object) -> object:
        function = original(*given, **named)
        return _wrapped(agent, function)

    module.get_user_function = get_user_function  # type: ignore[attr-defined]  # what the framework looks up
    _tell_of_a_failed_init(agent)


def _tell_of_a_failed_init(agent: Agent) -> None:
    """Report what ends the process before the function is loaded: the framework lets it through."""
    before = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if agent.watcher.recording and isinstance(error, Exception):  # Ctrl-C is no failure
            agent.coldstart.handler_loaded()
            from faasight import failed_init

            failed_init.report(agent, error)
        before(kind, error, trace)

    sys.excepthook = excepthook


def _wrapped(agent: Agent, function: Any) -> Any:  # noqa: ANN401 - the user's
    from faasight.invoke import observe

    try:
        agent.coldstart.handler_loaded()
        agent.function_loaded()
        if agent.settings.logs == "json":
            _use_json(agent)
        return observe(function)
    except Exception as error:  # noqa: BLE001 - it runs unobserved
        complaints.failure("wrapping the function", error)
        return function


def _use_json(agent: Agent) -> None:
    """Format what nobody has formatted: plain handlers, and the last resort of a function that has none.

    The last resort and no handler of ours: with one, the user's `logging.basicConfig` would do nothing.
    """
    import logging

    from faasight.logs import JsonFormatter

    root = logging.getLogger()
    for handler in root.handlers:
        form = handler.formatter
        plain = form is None or (type(form) is logging.Formatter and form._fmt in {logging.BASIC_FORMAT, "%(message)s"})
        if plain and type(handler) is logging.StreamHandler:
            handler.setFormatter(JsonFormatter())
    last = logging.StreamHandler(sys.stdout)
    last.setFormatter(JsonFormatter())
    last.setLevel(logging.NOTSET if agent.settings.log_level else logging.WARNING)
    logging.lastResort = last
    if agent.settings.log_level:
        root.setLevel(agent.settings.log_level)


def log(line: dict[str, Any], span: Span | None) -> None:
    """Add to a log line the fields that Cloud Logging knows."""
    line["version"] = os.environ.get("K_REVISION", "")
    line["severity"] = _SEVERITIES.get(line["level"], line["level"])
    if span is not None and span.invocation is not None:
        project = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCP_PROJECT") or ""
        line["logging.googleapis.com/trace"] = (
            f"projects/{project}/traces/{span.trace_id}" if project else span.trace_id
        )
        line["logging.googleapis.com/spanId"] = span.span_id
        line["logging.googleapis.com/labels"] = {"execution_id": span.invocation.request_id}


class GoogleCall(Call):
    """One call by the framework."""

    __slots__ = ("_asked",)

    def __init__(self, event: object, context: object, asked: Any) -> None:  # noqa: ANN401 - a request, or None
        """`asked` is the request that brought the event."""
        super().__init__(event, context)
        self._asked = asked
        headers = asked.headers if asked is not None else {}
        self.request_id = text(headers.get("Function-Execution-Id")) or _execution_id()
        self.remaining_ms = _timeout_ms()

    def complete(self, trigger: Trigger) -> None:
        """Take the trace that the request belongs to, and what a background event's context tells."""
        if self.context is not None:
            _background(trigger, self.context)
        if self._asked is not None and not trigger.parents and not trigger.trace_id:
            trigger.parent(extract(self._asked.headers))
            if not trigger.parents:
                trigger.trace_id = google_trace_id(self._asked.headers.get("X-Cloud-Trace-Context"))

    def answer(self, span: Span, result: object, error: BaseException | None) -> tuple[object, BaseException | None]:
        """Read what flask or starlette will make of the result: its status; `abort(404)` is an answer, no failure."""
        if "http.request.method" not in span.attributes:
            return None, error  # an event's: nobody reads the result
        code = _status(result) if error is None else None if _is_typed() else _status_of_error(error)
        if code is None:
            return None, error
        calls.status(span, code)
        if 400 <= code < 500 and span.attributes["faas.trigger"] in _MESSAGING:
            span.fail(str(code))
        return None, None


def read(given: tuple[object, ...], named: dict[str, object]) -> Call:
    """Read the arguments: a request, a CloudEvent, an object of the user's type, or data and a context."""
    event = given[0] if given else next(iter(named.values()), None)
    if library(type(event)) in HTTP_LIBRARIES and hasattr(event, "headers"):
        return GoogleCall(event, None, event)
    context = given[1] if len(given) > 1 else named.get("context")
    asked = _request()
    known = context is not None or library(type(event)) == "cloudevents" or asked is None
    return GoogleCall(event if known else asked, context, asked)


def _request() -> Any:  # noqa: ANN401 - flask's, or None
    """Return the request that flask is serving in this context, None if it is none of flask's."""
    flask = sys.modules.get("flask")
    return flask.request if flask is not None and flask.has_request_context() else None


def _execution_id() -> str:
    """Return what the framework has noted: its asynchronous functions are given no request with an event."""
    noted = getattr(sys.modules.get("functions_framework.execution_id"), "execution_context_var", None)
    found = noted.get(None) if noted is not None else None
    return text(getattr(found, "execution_id", ""))


def _timeout_ms() -> int:
    limit = os.environ.get("CLOUD_RUN_TIMEOUT_SECONDS") or os.environ.get("FUNCTION_TIMEOUT_SEC") or ""
    return int(limit) * 1000 if limit.isdigit() and int(limit) <= _MAX_TIMEOUT_S else 0


def _background(trigger: Trigger, context: Any) -> None:  # noqa: ANN401 - google.cloud.functions.context.Context
    """Add what stands beside an event of the first generation: its id, its time, and what it comes from."""
    resource = getattr(context, "resource", None)
    name = tail(mapping(resource).get("name") or resource, "/")
    attributes = trigger.attributes
    if attributes.get("faasight.source.kind") == "topic" and not attributes.get("faasight.source.name"):
        trigger.name = f"process {name}".strip()
        attributes["faasight.source.name"] = attributes["messaging.destination.name"] = name
    attributes["faasight.source.event"] = text(getattr(context, "event_type", ""))
    trigger.sent(when(getattr(context, "timestamp", "")))
    trigger.known_by(text(getattr(context, "event_id", "")))


def _status(result: Any) -> int | None:  # noqa: ANN401 - whatever a view may return
    """Return the status that flask or starlette gives an answer; None if it stands in none of its places."""
    if result is None:
        if os.environ.get("ENTRY_POINT"):  # the oldest runtime
            return None
        return 200 if _is_typed() else 500  # neither flask nor starlette takes None
    if isinstance(result, tuple) and len(result) in (2, 3):
        stated = result[1]
        if isinstance(stated, int):
            return int(stated)
        if isinstance(stated, str) and stated[:3].isdigit():  # "404 NOT FOUND"
            return int(stated[:3])
        result = result[0]
    code = getattr(result, "status_code", 200)
    return code if isinstance(code, int) else None


def _is_typed() -> bool:
    """Whether the function is given an object of the user's: the framework answers anything that it raises by 500."""
    return os.environ.get("FUNCTION_SIGNATURE_TYPE") == "typed"  # the framework sets it, whoever said so


def _status_of_error(error: BaseException) -> int | None:
    """Return the status of what `abort` raises, of werkzeug or starlette; None for a true exception."""
    for base in type(error).__mro__:
        if base.__name__ == "HTTPException" and library(base) in HTTP_LIBRARIES:
            code = getattr(error, "code", None) or getattr(error, "status_code", None)
            code = code or getattr(getattr(error, "response", None), "status_code", None)
            return code if isinstance(code, int) else None
    return None
