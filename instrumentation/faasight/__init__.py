"""The wrapper that serverless functions carry: spans, logs and metrics of each invocation.

The public door. Its names are loaded when they are first used: each import here would be paid by every cold start.
"""

from __future__ import annotations

from time import perf_counter_ns as _perf_counter_ns

_began = _perf_counter_ns()  # our first instruction, for `faasight.overhead_ms`

__version__ = "0.1.0"
__all__ = ["Span", "__version__", "current_span", "flush", "get_logger", "metric", "observe", "span"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from faasight.invoke import observe
    from faasight.logs import get_logger
    from faasight.metrics import metric
    from faasight.spans import Span
    from faasight.tracing import current_span, flush, span

_WHERE = {
    "Span": "spans",
    "current_span": "tracing",
    "flush": "tracing",
    "get_logger": "logs",
    "metric": "metrics",
    "observe": "invoke",
    "span": "tracing",
}


def __getattr__(name: str) -> object:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module 'faasight' has no attribute {name!r}")
    from importlib import import_module

    global _spent
    since = _perf_counter_ns()
    value: object = getattr(import_module(f"faasight.{module}"), name)
    globals()[name] = value
    _spent += _perf_counter_ns() - since
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


_spent = _perf_counter_ns() - _began  # ns of imports of ours which nobody has counted yet
