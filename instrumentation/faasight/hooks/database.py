"""What all databases have in common: one client span a call, by OpenTelemetry's conventions, and never a value.

The message of a database's error often quotes the row, so that only its type and code are kept.
"""

from __future__ import annotations

from contextlib import suppress
from functools import wraps

from faasight import tracing
from faasight.complain import complaints
from faasight.context import current, suppressed
from faasight.hooks import sql
from faasight.spans import CLIENT, ERROR, now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from faasight.agent import Agent
    from faasight.invocation import Invocation
    from faasight.spans import Span
    from faasight.tracing import Active

    # (the object whose method is called, positional, named arguments) -> its span, None to leave it alone
    Start = Callable[[Any, tuple[Any, ...], dict[str, Any]], Active | None]

# A loop may ask a thousand times. All are counted (COUNT, of the invocation); after so many, only
# those that took long or failed have a span.
COUNT = "faasight.database.calls"
MAX_QUICK = 100
QUICK_NS = 1_000_000
_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


def begin(
    system: str, operation: str, collection: str = "", namespace: str = "", host: str = "", port: int = 0
) -> Active | None:
    """Open the span of one call; None outside an invocation, and within a call that has its span already."""
    within = current.get()
    if suppressed.get() or within is None or within.invocation is None:
        return None
    known = {
        "db.system.name": system,
        "db.operation.name": operation,
        "db.collection.name": collection,
        "db.namespace": namespace,
        "server.address": host,
        "server.port": port,
    }
    attributes: dict[str, Any] = {key: value for key, value in known.items() if value}
    counts = within.invocation.span.attributes
    counts[COUNT] = counts.get(COUNT, 0) + 1
    return tracing.begin(f"{operation} {collection or namespace}".strip() or system, CLIENT, attributes)


def statement(
    agent: Agent, system: str, text: object, namespace: str = "", host: str = "", port: int = 0
) -> Active | None:
    """Open the span of an SQL statement."""
    if not isinstance(text, str):
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else ""
    text = text[: sql.MAX_LENGTH]
    names = system != "mysql"
    active = begin(system, *sql.target(text, names), namespace, host, port)
    if active is not None and agent.settings.statements:
        active.span.attributes["db.query.text"] = sql.without_values(
            text, system == "postgresql"
        )  # SQLite may take either
    return active


def end(active: Active, error: BaseException | None = None, code: object = None) -> None:
    """Close the span, with the type and the database's own code of a failure; never raises but under `strict`."""
    try:
        span = active.span
        if error is not None:
            kind = type(error)
            span.fail(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            span.attributes["db.response.status_code"] = str(code)
        invocation = span.invocation
        if invocation is not None and span.status != ERROR and _is_one_of_many(span, invocation):
            active.leave()
            invocation.forget(span)
        else:
            active.end()
    except Exception as failed:  # noqa: BLE001 - the caller's answer is what counts
        complaints.failure("database span", failed)


def _is_one_of_many(span: Span, invocation: Invocation) -> bool:
    calls: int = invocation.span.attributes.get(COUNT, 0)
    return calls > MAX_QUICK and now_ns() - span.start_ns < QUICK_NS


def patch(owner: Any, name: str, start: Start, code: Callable[[Any], object] = lambda _: None) -> None:  # noqa: ANN401 - classes of others
    """Put a span around a method, `async` or not; `code` reads the database's own code from an exception."""
    original = getattr(owner, name)
    if not hasattr(original, "__faasight__"):
        around = _asynchronous if original.__code__.co_flags & _COROUTINE else _synchronous
        patched = around(original, start, code)
        patched.__faasight__ = True
        setattr(owner, name, patched)


def started(start: Start, self: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Active | None:  # noqa: ANN401 - any library's
    """Call `start`; what fails in it leaves the call unobserved."""
    try:
        return start(self, args, named)
    except Exception as error:  # noqa: BLE001 - the call goes out unobserved
        complaints.failure("database", error)
        return None


def _synchronous(original: Any, start: Start, code: Callable[[Any], object]) -> Any:  # noqa: ANN401 - any method
    @wraps(original)
    def call(self: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - any method
        active = started(start, self, args, named)
        if active is None:
            return original(self, *args, **named)
        token = suppressed.set(True)  # executemany calls execute
        try:
            answer = original(self, *args, **named)
        except BaseException as error:
            end(active, error, code(error))
            raise
        else:
            end(active)
            return answer
        finally:
            suppressed.reset(token)

    return call


def _asynchronous(original: Any, start: Start, code: Callable[[Any], object]) -> Any:  # noqa: ANN401 - any method
    @wraps(original)
    async def call(self: Any, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - any method
        active = started(start, self, args, named)
        if active is None:
            return await original(self, *args, **named)
        token = suppressed.set(True)
        try:
            answer = await original(self, *args, **named)
        except BaseException as error:
            end(active, error, code(error))
            raise
        else:
            end(active)
            return answer
        finally:
            with suppress(ValueError):  # closed in another context, which keeps what it has
                suppressed.reset(token)

    return call
