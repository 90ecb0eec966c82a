"""The store's totals are the emulator's own counts: every run once, every throttle once, whatever ended it."""

import gzip
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from faasight_cli.local import wrapper
from faasight_collector import Collector
from faasight_emulator import Counts, Emulator, TooManyRequestsError
from faasight_store import Scope, Store, rollup
from faasight_store.queries import functions, invocations
from faasight_store.times import MINUTE, to_ns
from polling import wait_until
from quiet_server import QuietHandler, QuietServer
from wrapped import wrapped

Start = Callable[..., Emulator]
SECONDS_TO_RETRY = 11.0  # AWS waits a minute; the store tells runs of one request id apart from ten seconds on

RESOURCES = """
  Plain: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  Wide: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep}}
  Narrow: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep, ReservedConcurrentExecutions: 1}}
  Never: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo, ReservedConcurrentExecutions: 0}}
  Slow: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep, Timeout: 1}}
  Grow: {Type: AWS::Serverless::Function, Properties: {Handler: app.grow, MemorySize: 256}}
  Leave: {Type: AWS::Serverless::Function, Properties: {Handler: app.leave}}
  Fail: {Type: AWS::Serverless::Function, Properties: {Handler: app.fail}}
  Later: {Type: AWS::Serverless::Function, Properties: {Handler: app.fail}}
  Broken: {Type: AWS::Serverless::Function, Properties: {Handler: nowhere.handler}}
"""
LOAD: Sequence[tuple[str, object]] = [
    *[("plain", {"n": n}) for n in range(40)],
    *[("wide", {"seconds": 0.2})] * 8,
    *[("narrow", {"seconds": 0.3})] * 4,
    *[("never", {})] * 3,
    *[("slow", {"seconds": 30})] * 2,
    ("slow", {"seconds": 0}),
    *[("grow", {"mb": 400})] * 2,
    ("grow", {"mb": 1}),
    ("leave", {"code": 3}),
    *[("fail", {"message": f"of {n}"}) for n in range(5)],
    *[("broken", {})] * 2,
]


@pytest.fixture
def empty(request: pytest.FixtureRequest, store_named: Callable[[str, str], Store]) -> Store:
    """Return a store for one test of this file."""
    return store_named("embedded", getattr(request, "param", "counts_agree"))


@pytest.fixture
def collector(empty: Store, collector_before: Callable[[Store], Collector]) -> Collector:
    """Run a collector before it."""
    return collector_before(empty)


def burst(emulator: Emulator) -> None:
    """Invoke everything, some at once.

    Of those that nobody waits for, one fails twice under one request id, and of two for one place one is throttled
    under the id that it runs with later.
    """
    for name, event in (("later", {}), ("narrow", {"seconds": 0.3}), ("narrow", {"seconds": 0.3})):
        emulator.invoke(name, event, asynchronous=True)

    def refused(one: tuple[str, object]) -> str:
        try:
            emulator.invoke(*one)
        except TooManyRequestsError:
            return one[0]
        return ""

    with ThreadPoolExecutor(8) as callers:
        never_ran = Counter(callers.map(refused, LOAD))
    over(emulator, Counter({"later": 2, "narrow": 2}) + Counter(name for name, _ in LOAD) - never_ran)


def over(emulator: Emulator, wanted: Counter[str]) -> None:
    """Wait until so many invocations are over: a caller may have its answer before, if what follows is slow."""

    def counted() -> Counter[str]:
        return Counter({name: one.invocations for name, one in emulator.counts().items() if one.invocations})

    wait_until(lambda: counted() == wanted, f"these are over: {wanted}")


TWICE = """
  Wide: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep}}
  Plain: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  Slow: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep, Timeout: 1}}
  Leave: {Type: AWS::Serverless::Function, Properties: {Handler: app.leave}}
  Fail: {Type: AWS::Serverless::Function, Properties: {Handler: app.fail}}
  Broken: {Type: AWS::Serverless::Function, Properties: {Handler: nowhere.handler}}
"""
TWICE_LOAD: Sequence[tuple[str, object]] = [
    *[("plain", {"n": n}) for n in range(8)],
    ("slow", {"seconds": 30}),
    ("slow", {"seconds": 0}),
    ("leave", {"code": 3}),
    *[("fail", {"message": f"of {n}"}) for n in range(2)],
    ("broken", {}),
]


def stored(store: Store, scope: Scope) -> dict[str, Counts]:
    """Return the store's numbers in the shape of the emulator's."""
    ends = Counter((one.function, one.outcome) for one in invocations.recent(store, scope, limit=1000))
    return {
        row.function: Counts(
            invocations=row.totals.invocations,
            cold_starts=row.totals.cold_starts,
            errors=row.totals.errors,
            timeouts=row.totals.timeouts,
            throttles=row.totals.throttles,
            out_of_memory=ends[row.function, "out_of_memory"],
            init_errors=ends[row.function, "init_error"],
        )
        for row in functions.functions(store, scope)
    }


def differences(store: Store, scope: Scope, told: dict[str, Counts]) -> dict[str, tuple[Counts | None, Counts | None]]:
    """Return what the store and the emulator say of each function of which they differ."""
    found = stored(store, scope)
    return {
        name: (found.get(name), told.get(name)) for name in found.keys() | told if found.get(name) != told.get(name)
    }


def agreed(store: Store, scope: Scope, told: dict[str, Counts]) -> None:
    """Wait until store and emulator say the same."""
    last: list[object] = []

    def agree() -> bool:
        last[:] = [differences(store, scope, told)]
        return not last[0]

    try:
        wait_until(agree, "both count alike", every_s=0.5)
    except AssertionError:
        pytest.fail(f"(store, emulator) differ: {last[0]}")


def test_the_store_counts_what_the_emulator_did(start: Start, collector: Collector, empty: Store) -> None:
    emulator = start(
        RESOURCES,
        **wrapped(f"http://{collector.http_address}"),
        retry_delays=(SECONDS_TO_RETRY, 600.0),
    )
    began = datetime.now(UTC) - timedelta(minutes=1)
    burst(emulator)
    emulator.stop()
    told = emulator.counts()
    assert told["never"].throttles == 3
    assert told["narrow"].throttles > 0
    assert (told["later"].invocations, told["later"].errors) == (2, 2)
    assert sum(one.timeouts for one in told.values()) >= 2
    assert sum(one.out_of_memory for one in told.values()) >= 2
    assert told["broken"].init_errors == 2
    assert sum(one.cold_starts for one in told.values()) > len(told)

    scope = Scope(began, began + timedelta(minutes=30))
    agreed(empty, scope, told)
    collector.stop()  # with all that it still had
    assert differences(empty, scope, told) == {}
    assert rollup.settle_minutes(empty, to_ns(datetime.now(UTC)) + 4 * MINUTE) > 0
    assert differences(empty, scope, told) == {}


class Tap(QuietHandler):
    """Hands requests on to the collector, and notes what platform's events came by."""

    server: "TapServer"

    def answer(self) -> None:
        """Hand one on."""
        body = self.body()
        kept = ("content-type", "content-encoding", "authorization")
        headers = {
            name: value for name, value in self.headers.items() if name.lower() in kept or name.lower().startswith("x-")
        }
        told = requests.post(f"{self.server.collector}{self.path}", data=body, headers=headers, timeout=180)
        if self.path == "/v1/aws/telemetry":
            self.server.events.append(gzip.decompress(body) if "Content-Encoding" in self.headers else body)
        self.reply(told.status_code, {}, told.content)


class TapServer(QuietServer):
    """Stands before a collector."""

    def __init__(self, collector: str) -> None:
        self.collector = collector
        self.events: list[bytes] = []
        super().__init__(Tap)


@pytest.mark.parametrize("empty", ["counts_agree_twice"], indirect=True)
def test_what_is_told_on_two_ways_counts_once(start: Start, collector: Collector, empty: Store, tmp_path: Path) -> None:
    """Our extension sends the platform's events of each sandbox, and so does the platform's own log path."""
    tap = TapServer(f"http://{collector.http_address}")
    settings = wrapped(f"http://{tap.address}") | {"collector": tap.collector}
    extension = tmp_path / "faasight-telemetry"  # as the layer calls it
    extension.symlink_to(wrapper().with_name("faasight-extension"))
    emulator = start(TWICE, **settings | {"opt": {**settings["opt"], "extensions/faasight-telemetry": extension}})
    began = datetime.now(UTC) - timedelta(minutes=1)
    sent = Counter(name for name, _ in TWICE_LOAD)
    for name, event in TWICE_LOAD:
        emulator.invoke(name, event)

    def twice() -> bool:
        """Ask while invoking: between invocations an extension is frozen, and in the end it has two seconds."""
        emulator.invoke("wide", {"seconds": 0.3})
        sent["wide"] += 1
        return any(b"platform.report" in batch for batch in tap.events.copy())

    wait_until(twice, "the extension has sent reports, too")
    over(emulator, sent)
    emulator.stop()
    told = emulator.counts()
    assert told["slow"].timeouts >= 1
    assert (told["broken"].init_errors, told["fail"].errors) == (1, 2)
    scope = Scope(began, began + timedelta(minutes=30))
    agreed(empty, scope, told)
    collector.stop()  # with all that it still had
    assert differences(empty, scope, told) == {}
    tap.close()
