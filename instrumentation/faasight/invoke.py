"""The wrapping itself: the handler is called whatever happens to us, and its own result or exception comes back."""

from __future__ import annotations

from functools import wraps
from time import monotonic_ns, perf_counter_ns
from types import CoroutineType

import faasight
from faasight import agent as agents
from faasight import calls
from faasight.complain import complaints
from faasight.context import current
from faasight.invocation import begin, finish
from faasight.unfinished import UNFINISHED, carried_on

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeVar, overload

    from faasight.agent import Agent
    from faasight.calls import Read
    from faasight.invocation import Invocation

    Handler = TypeVar("Handler", bound=Callable[..., Any])

    class Observe(Protocol):
        """`observe` as type checkers see it: a handler keeps its type."""

        @overload
        def __call__(self, handler: Handler, /) -> Handler: ...
        @overload
        def __call__(self, handler: None = None, /, *, name: str = "") -> Callable[[Handler], Handler]: ...


def _observe(handler: Callable[..., Any] | None = None, /, *, name: str = "") -> Callable[..., Any]:
    """Wrap a handler `(event, context)`: one span an invocation, sent at its end. `name` replaces the span's name.

    Use it as `@observe` or `@observe(name=...)`. A handler that is wrapped already comes back as it is, and so does any
    when FAASIGHT_DISABLED=1.
    """
    if handler is None:
        return lambda function: observe_as(function, name)
    return observe_as(handler, name)


observe: Observe = _observe  # type: ignore[assignment]  # one function serves both overloads


def observe_as(handler: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wrap `handler`; `name` "" leaves the span's name to the trigger."""
    since = perf_counter_ns()
    try:
        agent = agents.get()
    except Exception as error:  # noqa: BLE001 - without an agent the function runs unobserved
        complaints.failure("start", error)
        return handler
    if agent.settings.disabled or hasattr(handler, "__faasight__"):
        return handler
    if agent.host is None and type(handler).__module__.startswith("azure."):  # a user's test: no host says who it is
        from faasight import azure

        agent.host = azure
    observed: Callable[..., Any] = (agent.host.observed if agent.host else observed_by)(agent, handler, name)
    agent.coldstart.spend(since - faasight._spent)  # with what the import of us has cost
    faasight._spent = 0
    return observed


def observed_by(agent: Agent, handler: Callable[..., Any], name: str, reader: Read | None = None) -> Callable[..., Any]:
    """Wrap a function; `reader` knows how its host calls it, None: with Lambda's event and context."""
    make = _observed_coroutine if is_async(handler) else _observed_call
    observed = make(agent, handler, name, reader)
    observed.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    return observed


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether it is an `async def`; asking `inspect` would import it into each cold start."""
    flags: int = getattr(getattr(handler, "__code__", None), "co_flags", 0)
    return bool(flags & _CO_COROUTINE)


def _observed_call(agent: Agent, handler: Callable[..., Any], name: str, reader: Read | None) -> Callable[..., Any]:
    @wraps(handler)
    def observed(*given: object, **named: object) -> object:
        invocation = _begin(agent, given, named, name, reader)
        try:
            result: object = handler(*given, **named)  # as it was called: some platforms pass a request alone
        except BaseException as error:
            if invocation is not None:
                _finish(agent, invocation, None, error)
            raise
        if invocation is not None:
            if type(result) in UNFINISHED:
                return _carried_on(agent, invocation, result)
            if invocation.call is None or not _streams(agent, invocation, result):
                _finish(agent, invocation, result, None)
        return result

    return observed


def _observed_coroutine(
    agent: Agent, handler: Callable[..., Any], name: str, reader: Read | None
) -> Callable[..., Any]:
    @wraps(handler)
    async def observed(*given: object, **named: object) -> object:
        invocation = _begin(agent, given, named, name, reader)
        try:
            result: object = await handler(*given, **named)
        except BaseException as error:
            if invocation is not None:
                _finish(agent, invocation, None, error)
            raise
        if invocation is not None and (invocation.call is None or not _streams(agent, invocation, result)):
            _finish(agent, invocation, result, None)
        return result

    return observed


def _begin(
    agent: Agent, given: tuple[object, ...], named: dict[str, object], name: str, reader: Read | None
) -> Invocation | None:
    around = current.get()
    if around is not None and (around.invocation is None or not around.invocation.over):
        return None  # an observed function that calls another one: the outer call is the invocation
    since = monotonic_ns()
    try:
        call = calls.read(reader, given, named) if reader is not None else None
        if call is not None:
            event, context = call.event, call.context
        else:
            event = given[0] if given else named.get("event")
            context = given[1] if len(given) > 1 else named.get("context")
        invocation = begin(agent, event, context, call, since / 1e9)
        if name:
            invocation.span.name = name
        spent, agent.spent = agent.spent + monotonic_ns() - since, 0
        invocation.overhead_ms = spent // 1000 / 1000
    except Exception as error:  # noqa: BLE001 - the handler is called whatever happens here
        current.set(None)
        complaints.failure("begin", error)
        return None
    except BaseException:  # a signal's, which ends the process as a rule: if not, the next call must not look nested
        current.set(None)
        raise
    return invocation


def _finish(agent: Agent, invocation: Invocation, result: object, error: BaseException | None) -> None:
    try:
        _end(agent, invocation, result, error)
    finally:
        current.set(None)  # as `_begin` found it: a span left behind would make each later call look like a nested one


def _end(agent: Agent, invocation: Invocation, result: object, error: BaseException | None) -> None:
    since = perf_counter_ns()
    try:
        finish(agent, invocation, result, error)
        agent.spent += perf_counter_ns() - since  # told with the next one: this one is on its way
    except Exception as failed:  # noqa: BLE001 - the handler's result or exception goes out whatever happens here
        current.set(None)  # under `strict` it is raised
        complaints.failure("finish", failed)


def _streams(agent: Agent, invocation: Invocation, result: object) -> bool:
    """Whether a response's body has yet to run: its end is the invocation's then."""
    try:
        place = invocation.call.body(result) if invocation.call is not None else ""
        if place:
            setattr(result, place, _carried_on(agent, invocation, getattr(result, place), result))
    except Exception as error:  # noqa: BLE001 - the response goes out as it is
        complaints.failure("following a response", error)
        return False
    return bool(place)


def _carried_on(agent: Agent, invocation: Invocation, result: object, response: object = None) -> object:
    """Return what stands for a result that has yet to run; its end is the invocation's. It may be a response's body."""
    if response is None and invocation.call is not None and type(result) is not CoroutineType:
        response = result  # flask makes a response of a generator
    if invocation.active is not None:
        invocation.active.leave()
    current.set(None)
    ended: list[bool] = []

    def end(final: object, error: BaseException | None) -> None:
        if not ended:
            ended.append(True)
            _end(agent, invocation, final if response is None else response, error)

    return carried_on(result, invocation.span, end)
