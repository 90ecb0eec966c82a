"""How a page gets its data: `ask(query, ...)` runs a query of faasight_store for this app, through its cache."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from faasight_store import Scope, Store, StoreError
from faasight_store.cache import Cache
from faasight_store.queries.live import prepare
from flask import Flask, current_app, request
from opentelemetry import trace

from faasight_dashboards.ahead import ReadAhead
from faasight_dashboards.meters import Meters
from faasight_dashboards.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

_tracer = trace.get_tracer("faasight.dashboards")  # of the SDK that the command sets up, if it does
_KEY = "FAASIGHT"
_SHORTEST_S = 2.0
_LONGEST_S = 30.0
LOOKING_S = 20.0  # after a page asked, the next click is near


@dataclass(frozen=True)
class Context:
    """What one app works with."""

    store: Store
    settings: Settings
    cache: Cache = field(default_factory=Cache)
    meters: Meters = field(default_factory=Meters)
    ahead: ReadAhead | None = None


def install(server: Flask, context: Context) -> None:
    """Give an app its context."""
    server.config[_KEY] = context


def context() -> Context:
    """Return the context of the app that answers the current request."""
    return cast(Context, current_app.config[_KEY])


def ask(query: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `query(store, *args, **kwargs)` answers, at most a few seconds old. Arguments must be hashable."""
    here = context()
    here.store.expect(LOOKING_S)
    if here.ahead:
        here.ahead.looked(next((arg.environment for arg in args if isinstance(arg, Scope)), ""))
    key = (query, args, tuple(sorted(kwargs.items())))
    name = f"{query.__module__.rpartition('.')[2]}.{query.__name__}"
    missed = False

    def run() -> T:
        nonlocal missed
        missed = True
        with here.meters.querying(name), _tracer.start_as_current_span(f"query {name}"):
            return query(here.store, *args, **kwargs)

    try:
        return here.cache.get(key, run, _ttl_s(args))
    finally:
        here.meters.asked.labels("miss" if missed else "hit").inc()


def expect_questions(server: Flask) -> None:
    """Ask what all queries must know first as soon as a page is opened, while the browser loads its scripts."""

    def opened() -> None:
        if request.endpoint in _PAGES:
            store = context().store
            with contextlib.suppress(StoreError):  # whoever asks next is told
                store.expect(LOOKING_S)
                store.beside(lambda: prepare(store))

    server.before_request(opened)


_PAGES = {"/", "/<path:path>"}  # Dash's names for what answers with a page


def _ttl_s(args: tuple[Any, ...]) -> float:
    # A longer range changes more slowly on the screen: an hour's answer is kept 2 s, a day's 24 s.
    seconds = max((arg.seconds for arg in args if isinstance(arg, Scope)), default=0.0)
    return min(_LONGEST_S, max(_SHORTEST_S, seconds / 3600))
