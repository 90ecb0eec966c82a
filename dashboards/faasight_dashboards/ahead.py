"""Reads ahead: what pages of all functions ask of the usual ranges is asked before anybody looks, and while they do.

What is settled stays in the store's memory once it was read, so that no viewer waits for the first look at a range.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from faasight_store import Scope, Store, StoreError
from faasight_store.queries import functions, invocations
from faasight_store.queries.live import prepare
from faasight_store.queries.map import invocation_map

from faasight_dashboards.scope import PRESETS, view
from faasight_dashboards.settings import Settings

log = logging.getLogger(__name__)

PACE_S = 300.0
_SHORTEST_S = 3600
_AFTER_S = 3.0  # whoever opened a page is first
_ASKED_WITHIN_S = 900.0  # environments that nobody chose for so long are left
_MOST_ENVIRONMENTS = 2  # beside all together
_STOP_WITHIN_S = 2.0


def questions(scope: Scope) -> Sequence[Callable[[Store], object]]:
    """Return what the overview, the functions and the map ask of a scope, and of the time before it."""
    return (
        lambda store: invocations.series(store, scope),
        lambda store: invocations.totals(store, scope),
        lambda store: functions.functions(store, scope),
        lambda store: invocation_map(store, scope),
        lambda store: invocations.totals(store, scope.before()),
    )


def usual_scopes(now: datetime, environment: str = "", first: str = Settings.default_range) -> list[Scope]:
    """Return the ranges that pages offer, from an hour on: of shorter ones little is settled. `first` is the first."""
    starts = sorted(PRESETS, key=lambda start: start != first)
    scopes = [view({"from": start, "env": environment}, now).scope for start in starts]
    return [scope for scope in scopes if scope.seconds >= _SHORTEST_S]


class ReadAhead:
    """Asks on a thread: once after its start, and every five minutes while somebody looks."""

    def __init__(
        self, store: Store, first: str = Settings.default_range, pace_s: float = PACE_S, after_s: float = _AFTER_S
    ) -> None:
        self._store = store
        self._first = first  # of the ranges
        self._pace_s = pace_s
        self._after_s = after_s
        self._lock = threading.Lock()
        self._environments: OrderedDict[str, float] = OrderedDict()  # when each was last looked at
        self._looked = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, where the store remembers what it is asked."""
        if self._store.remembers:
            self._thread = threading.Thread(target=self._run, name="dashboards-ahead", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        self._looked.set()

    def join(self) -> None:
        """Wait for the question under way, for a moment."""
        if self._thread:
            self._thread.join(_STOP_WITHIN_S)

    def looked(self, environment: str) -> None:
        """Note that somebody looks at an environment; "": at all."""
        if environment:
            with self._lock:
                self._environments[environment] = time.monotonic()
                self._environments.move_to_end(environment)
        self._looked.set()

    def _run(self) -> None:
        while True:
            self._looked.clear()
            if self._stopping.is_set():
                return
            self._read()
            self._stopping.wait(self._pace_s)
            self._looked.wait()
            self._stopping.wait(self._after_s)

    def _read(self) -> None:
        try:
            prepare(self._store)
            self._ask()
        except StoreError as error:  # whoever asks next is told
            log.debug("could not read ahead: %s", error)
        except Exception:
            log.exception("a question that is read ahead failed")

    def _ask(self) -> None:
        for environment in ("", *self.environments()):
            for scope in usual_scopes(datetime.now(UTC), environment, self._first):
                for ask in questions(scope):
                    if self._stopping.is_set():
                        return
                    ask(self._store)

    def environments(self) -> list[str]:
        """Return what is read beside all environments together: those looked at lately, the newest last."""
        with self._lock:
            for name, looked in list(self._environments.items()):
                if time.monotonic() - looked > _ASKED_WITHIN_S:
                    del self._environments[name]
            return list(self._environments)[-_MOST_ENVIRONMENTS:]
