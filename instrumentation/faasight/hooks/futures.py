"""Pools of threads (`concurrent.futures`): what a function hands to one belongs to its invocation.

So calls out, spans and log lines of `pool.map(fetch, urls)` are seen, and boto3's transfers of files, which are made by
such a pool. Nothing but our own current span is carried over: a context as a whole would show a pool's work variables
of the user's that it does not see without us.
"""

from __future__ import annotations

from functools import wraps

from faasight.context import current
from faasight.tracing import Active

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.spans import Span

_OTHER = "InterpreterPoolExecutor"  # of Python 3.14: its work leaves for another interpreter


def install(module: ModuleType, _agent: Agent) -> None:
    """Patch the pool's `submit`, by which `map` and event loops hand over their work, too."""
    pool: Any = module.ThreadPoolExecutor
    original = pool.submit
    if hasattr(original, "__faasight__"):
        return

    @wraps(original)
    def submit(self: Any, fn: Callable[..., Any], /, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - anything
        span = current.get()
        if span is None or any(base.__name__ == _OTHER for base in type(self).__mro__):
            return original(self, fn, *given, **named)
        return original(self, _Carried(span, fn), *given, **named)

    submit.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    pool.submit = submit


class _Carried:
    """A function that runs within a span."""

    __slots__ = ("_function", "_span")

    def __init__(self, span: Span, function: Callable[..., Any]) -> None:
        self._span = span
        self._function = function

    def __call__(self, /, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - anything
        active = Active(self._span)
        try:
            return self._function(*given, **named)
        finally:
            active.leave()
