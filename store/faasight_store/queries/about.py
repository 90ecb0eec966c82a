"""What is known of functions: when they were last seen, as which version, and where they run."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from faasight_store.connection import Store
from faasight_store.queries.cells import HOURS_IN_SCOPE
from faasight_store.times import HOUR, from_ns, to_ns
from faasight_store.types import Scope

_LATELY = timedelta(days=2)  # most functions were seen so lately; the rest is looked for in all of a scope
_AHEAD = timedelta(days=2)  # clocks differ, by a day at most


@dataclass(frozen=True, slots=True)
class About:
    """The newest that is known of a function; "" or 0 where nobody told."""

    last_seen_ns: int
    version: str = ""
    runtime: str = ""
    architecture: str = ""
    region: str = ""
    account: str = ""
    provider: str = ""
    memory_mb: float = 0.0
    timeout_ms: float = 0.0


def newest(store: Store, scope: Scope) -> dict[str, About]:
    """Return what was known at the end of a scope of the functions that were seen in the two days before.

    They may be more than the scope's, if that is shorter.
    """
    if store.remembers and to_ns(scope.end) > time.time_ns() // HOUR * HOUR:  # all that look at now ask the same
        return _until_now(store, scope.environment)
    lately = replace(scope, start=scope.end - _LATELY)
    return store.remembered(("about", lately), lambda: _told(store, lately))


def with_older(store: Store, scope: Scope, known: dict[str, About], names: Iterable[str]) -> dict[str, About]:
    """Add what is known of other functions that were seen in the scope, if some of these are not known yet."""
    if known.keys() >= set(names):
        return known
    return {**store.remembered(("about", scope), lambda: _told(store, scope)), **known}


def _until_now(store: Store, environment: str) -> dict[str, About]:
    def ask(_: object = None) -> dict[str, About]:
        now = from_ns(time.time_ns())
        return _told(store, Scope(now - _LATELY, now + _AHEAD, environment))

    return store.shared(("about", environment), ask, ask)


def _told(store: Store, scope: Scope) -> dict[str, About]:
    rows: Sequence[Sequence[Any]] = store.query(
        f"""SELECT function, toUnixTimestamp64Nano(max(last_seen)), argMaxIf(version, last_seen, version != ''),
            max(runtime).2, max(architecture).2, max(region).2, max(account).2, max(provider).2,
            max(memory_mb).2, max(timeout_ms).2
        FROM function_hours
        WHERE {HOURS_IN_SCOPE} AND ({{environment:String}} = '' OR environment IN ({{environment:String}}, ''))
        GROUP BY function""",
        {"scope_ns": to_ns(scope.start), "scope_end_ns": to_ns(scope.end), "environment": scope.environment},
    )
    return {row[0]: About(*row[1:]) for row in rows}
