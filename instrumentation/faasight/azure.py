"""Azure Functions: what the Python worker calls, by keywords, in a pool of threads or on its event loop.

The worker looks at a function's signature before it calls it. It hands a `context` (invocation id, trace, retries) to
those that ask for one; so ours always asks, and passes it on only to a function that asked itself. Azure's library is
never imported here; it is there before the functions are.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from time import perf_counter_ns

import faasight
from faasight import agent as agents
from faasight import calls
from faasight.calls import Call
from faasight.complain import complaints
from faasight.context import parse
from faasight.invoke import is_async, observe_as, observed_by
from faasight.spans import now_ns
from faasight.triggers.azure import READERS, bound
from faasight.triggers.reading import number, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.spans import Span
    from faasight.triggers import Trigger

APPLICATION = "azure.functions.decorators.function_app"
_PLACEHOLDER_NS = 10_000_000_000  # no worker takes so long to start
_MAX_LIMIT_MS = 86_400_000  # what is longer is none
_all = False  # whether functions without a decorator of ours are wrapped too
_LIMIT = "AzureFunctionsJobHost__functionTimeout"  # the application setting that stands above host.json's


def observed(agent: Agent, handler: Any, name: str) -> Any:  # noqa: ANN401 - a function, or what its decorators made
    """Wrap a function; above the decorators of an application it comes as their builder, which stays what it is."""
    function: Any = getattr(handler, "_function", None)  # FunctionBuilder
    if hasattr(function, "get_user_function") and hasattr(function, "_func"):
        if not hasattr(function._func, "__faasight__"):
            function._func = observe_as(function._func, name)
        _bind(function)
        return handler
    return _asking(agent, handler, name)


def install(module: ModuleType, agent: Agent) -> None:
    """Wrap each function when the worker takes it out of the application (`faasight.auto`)."""
    global _all
    _all = True
    _leave_out_the_wait(agent)
    _attend(module)


def _leave_out_the_wait(agent: Agent) -> None:
    """Let the init begin with us, if its process has waited for an application: Azure keeps such placeholders warm."""
    ours = now_ns() - (perf_counter_ns() - faasight._began)
    if ours - agent.coldstart.began > _PLACEHOLDER_NS:
        agent.coldstart.began = ours


def _attend(module: ModuleType) -> None:
    """Be there when the worker asks for a function: what its decorators declared is known by then, and not before."""
    original = module.Function.get_user_function
    if hasattr(original, "__faasight__"):
        return

    def get_user_function(self: Any) -> Any:  # noqa: ANN401 - Azure's `Function`, and the user's function
        try:
            agent = agents.get()
            if agent.watcher.recording:
                agent.coldstart.handler_loaded()
                agent.function_loaded()
            if _all or hasattr(self._func, "__faasight__"):
                observed(agent, _Builder(self), "")
        except Exception as error:  # noqa: BLE001 - it runs unobserved
            complaints.failure("wrapping a function", error)
        return original(self)

    get_user_function.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    module.Function.get_user_function = get_user_function


def log(line: dict[str, Any], span: Span | None) -> None:
    """Name the function in a log line: an application has several."""
    call = span.invocation.call if span is not None and span.invocation is not None else None
    if call is not None and call.function:
        line["function"] = f"{line['function']}/{call.function}"


class _Builder:
    """Holds a function of the application as its builder does."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401 - Azure's `Function`
        self._function = function


def _bind(function: Any) -> None:  # noqa: ANN401 - Azure's `Function`
    """Tell the wrapped function what it is bound to: the parameter itself does not say which queue it came from."""
    reader = getattr(function._func, "__faasight_reader__", None)
    if reader is not None:
        reader.function = function


class Reader:
    """Reads the calls of one function; `function` is what its decorators made of it, where that is known."""

    def __init__(self) -> None:
        self.function: Any = None

    def __call__(self, given: tuple[object, ...], named: dict[str, object]) -> AzureCall:
        """Find the event among the arguments: the trigger's, else the first that a reader knows."""
        binding = self.function.get_trigger() if self.function is not None else None
        context = named.get("context")
        name = getattr(binding, "name", "")
        if name in named:
            event = named[name]
        else:
            values = [*given, *(value for key, value in named.items() if key != "context")]
            event = next((value for value in values if _is_event(value)), values[0] if values else None)
        return AzureCall(event, context, binding)


def _is_event(value: object) -> bool:
    item = value[0] if isinstance(value, list) and value else value
    return type(item).__name__ in READERS


class AzureCall(Call):
    """One call by the worker."""

    __slots__ = ("_binding",)

    def __init__(self, event: object, context: object, binding: object) -> None:
        """`binding` is the trigger that the decorators declared, None if they are not known."""
        super().__init__(event, context)
        self._binding = binding
        self.request_id = text(getattr(context, "invocation_id", ""))
        self.function = text(getattr(context, "function_name", "")) if self.request_id else ""
        self.remaining_ms = _limit_ms()

    def complete(self, trigger: Trigger) -> None:
        """Add what the binding declares, the trace that the host has opened, and the host's own retries."""
        if self._binding is not None:
            bound(trigger, self._binding, self.function)
        if not trigger.parents and not trigger.trace_id:
            trace = getattr(self.context, "trace_context", None)
            parent = getattr(trace, "trace_parent", None) or getattr(trace, "Traceparent", None)
            opened = parse(parent)  # the span is the host's own, which only Azure's monitor knows: its trace it is
            trigger.trace_id = opened.trace_id if opened is not None else ""
        retries = number(getattr(getattr(self.context, "retry_context", None), "retry_count", 0))
        if retries:
            trigger.attempt = max(trigger.attempt, retries + 1)

    def answer(self, span: Span, result: object, error: BaseException | None) -> tuple[object, BaseException | None]:
        """Read an HttpResponse; what else is returned goes into bindings, and is no answer."""
        if error is None and span.attributes.get("faas.trigger") == "http":
            calls.status(span, getattr(result, "status_code", None))
        return None, error


def _limit_ms() -> int:
    """Return the time limit, of "hh:mm:ss"; 0 if the application's settings do not tell it."""
    parts = os.environ.get(_LIMIT, "").split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return 0
    hours, minutes, seconds = (int(part) for part in parts)
    limit = ((hours * 60 + minutes) * 60 + seconds) * 1_000
    return limit if limit <= _MAX_LIMIT_MS else 0


def _asking(agent: Agent, handler: Callable[..., Any], name: str) -> Any:  # noqa: ANN401 - a function, marked
    """Wrap a function so that the worker sees one that asks for a context, in the user's own file."""
    from inspect import Parameter, signature  # the worker has it loaded

    application = sys.modules.get(APPLICATION)
    if application is not None:
        _attend(application)
    reader = Reader()
    asked = signature(handler)
    if "context" in asked.parameters or any(p.kind is Parameter.VAR_KEYWORD for p in asked.parameters.values()):
        call = observed_by(agent, handler, name, reader)
    else:
        call = observed_by(agent, _without_context(handler), name, reader)
        context = Parameter("context", Parameter.KEYWORD_ONLY, default=None)
        asked = asked.replace(parameters=[*asked.parameters.values(), context])
    outermost = _outermost(handler, call)
    outermost.__signature__ = asked
    outermost.__faasight__ = True
    outermost.__faasight_reader__ = reader
    return outermost


def _without_context(handler: Callable[..., Any]) -> Callable[..., Any]:
    if is_async(handler):

        @wraps(handler)
        async def called_async(*given: object, **named: object) -> object:
            named.pop("context", None)
            return await handler(*given, **named)

        return called_async

    @wraps(handler)
    def called(*given: object, **named: object) -> object:
        named.pop("context", None)
        return handler(*given, **named)

    return called


def _outermost(handler: Callable[..., Any], call: Callable[..., Any]) -> Any:  # noqa: ANN401 - a function, to be marked
    """Return a function that stands where the handler stands: its file's folder is the context's function_directory."""
    if is_async(handler):

        @wraps(handler)
        async def function_async(*given: object, **named: object) -> object:
            return await call(*given, **named)

        function: Callable[..., Any] = function_async
    else:

        @wraps(handler)
        def function_sync(*given: object, **named: object) -> object:
            return call(*given, **named)

        function = function_sync
    where = getattr(handler, "__code__", None)
    if where is not None:
        own = function.__code__
        function.__code__ = own.replace(co_filename=where.co_filename, co_firstlineno=where.co_firstlineno)
    return function
