"""What the pages of all functions ask is in memory before anybody looks, and stays so while they do."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import otlp
import pytest
from faasight_dashboards import ahead
from faasight_dashboards.ahead import ReadAhead, questions, usual_scopes
from faasight_store import Scope, Store, StoreError, settle
from faasight_store.queries import functions, invocations
from faasight_store.queries.live import prepare
from polling import wait_until
from statements import listen

_tokens = (f"ahead-{n}" for n in itertools.count())
_CELLS = (
    "invocation_days",
    "invocation_hours",
    "invocation_slots",
    "fleet_hours",
    "fleet_slots",
    "settled_invocations",
)


@pytest.fixture
def store(embedded_engine: Store, embedded_directory: Path) -> Iterator[Store]:
    """Return a store that remembers, with some days of a function in two environments."""
    assert embedded_engine  # one engine a process: it stays open
    with Store.open(f"chdb://{embedded_directory}?database=ahead_{next(_tokens)[6:]}", remember_s=2.0) as store:
        store.migrate()
        now = datetime.now(UTC)
        runs = [
            otlp.Run(int((now - ago).timestamp() * 1e9), environment=environment)
            for ago in (timedelta(minutes=7), timedelta(hours=5), timedelta(days=1, hours=3), timedelta(days=9))
            for environment in ("prod", "test")
        ]
        store.land("traces", otlp.segment(*(run.traces() for run in runs)), next(_tokens))
        while settle(store):
            pass
        yield store
        store.command(f"DROP DATABASE {store.dsn.database}")


def test_after_reading_ahead_a_first_look_asks_no_table_of_what_is_settled(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes = usual_scopes(datetime.now(UTC))
    assert scopes[0].seconds == 3 * 3600
    assert len(scopes) > 5
    prepare(store)
    for scope in scopes:
        for ask in questions(scope):
            ask(store)
    asked = listen(monkeypatch)
    for scope in scopes:
        store.forget(shared=False, settled=False)
        totals = invocations.totals(store, scope)
        one = functions.function(store, scope, "checkout")
        assert one is not None
        assert totals.invocations == one.totals.invocations > 0
        assert len(functions.functions(store, scope)) == 1
    assert not [sql for sql in asked if any(f"FROM {table}" in sql for table in _CELLS)]
    store.forget(shared=False)
    assert invocations.totals(store, scopes[-1]).invocations == 8
    assert any("FROM fleet_hours" in sql for sql in asked)  # so it would have been seen


class _Asked:
    """Note which scopes are asked for, on the thread that reads ahead."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.remembers = True
        self.scopes: list[Scope] = []
        self.threads: set[str] = set()
        self._fails = fails

    def questions(self, scope: Scope) -> list[Callable[[object], object]]:
        """Stand for what pages ask."""
        return [lambda _: self._note(scope)]

    def _note(self, scope: Scope) -> None:
        self.scopes.append(scope)
        self.threads.add(threading.current_thread().name)
        if self._fails:
            raise self._fails

    def of(self, environment: str) -> int:
        """Return how often an environment was asked for."""
        return sum(scope.environment == environment for scope in self.scopes)


@contextmanager
def _reading(monkeypatch: pytest.MonkeyPatch, asked: _Asked) -> Iterator[ReadAhead]:
    """Read ahead without a pause, and wait for the end of it."""
    monkeypatch.setattr(ahead, "questions", asked.questions)
    monkeypatch.setattr(ahead, "prepare", lambda _: None)
    reader = ReadAhead(asked, pace_s=0.0, after_s=0.0)  # type: ignore[arg-type]  # the double
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
        reader.join()


def test_it_reads_once_and_again_only_when_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ranges = _Asked(), len(usual_scopes(datetime.now(UTC)))
    with _reading(monkeypatch, asked) as reader:
        wait_until(lambda: asked.of("") == ranges, "all ranges were read")
        reader.looked("prod")
        wait_until(lambda: asked.of("prod") == ranges, "those of prod were read")
        assert asked.of("") == 2 * ranges
        assert asked.threads == {"dashboards-ahead"}
    reader.looked("")
    assert len(asked.scopes) == 3 * ranges


def test_environments_are_followed_while_they_are_looked_at_and_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ReadAhead(_Asked())  # type: ignore[arg-type]  # the double
    clock = [1000.0]
    monkeypatch.setattr(ahead.time, "monotonic", lambda: clock[0])
    for name in ("a", "b", "c", "d", "b"):
        reader.looked(name)
        clock[0] += 1
    assert reader.environments() == ["d", "b"]
    clock[0] += 899
    assert reader.environments() == ["b"]
    clock[0] += 899
    assert reader.environments() == []


def _faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.exc_info[1]) for record in [*caplog.records] if record.levelname == "ERROR" and record.exc_info]


@pytest.mark.parametrize(("error", "logged"), [(StoreError("away"), []), (ValueError("no scope"), ["no scope"])])
def test_what_fails_is_asked_again_at_the_next_look_and_a_fault_of_ours_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, logged: list[str]
) -> None:
    asked = _Asked(error)
    with _reading(monkeypatch, asked) as reader:
        wait_until(lambda: len(asked.scopes) == 1, "it was asked")
        reader.looked("")
        wait_until(lambda: len(asked.scopes) == 2, "it was asked")
        wait_until(lambda: _faults(caplog) == 2 * logged, "faults are logged, and nothing else")


def test_without_a_memory_nothing_is_read_ahead() -> None:
    asked = _Asked()
    asked.remembers = False
    reader = ReadAhead(asked)  # type: ignore[arg-type]  # the double
    reader.start()
    reader.stop()
    reader.join()
    reader.join()
    assert asked.scopes == []
