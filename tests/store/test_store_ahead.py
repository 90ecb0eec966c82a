"""While somebody looks, what all queries must know first is renewed by a thread, and nobody waits for it."""

import threading
import time
from collections.abc import Iterator

import otlp
import pytest
from faasight_store import Scope, Store
from faasight_store.ahead import GOOD_FOR, USED_WITHIN_S, WAITED_FOR, Ahead
from faasight_store.cache import Cache
from faasight_store.errors import StoreUnavailableError
from faasight_store.queries import invocations
from faasight_store.times import MINUTE, from_ns
from polling import wait_until
from reopened import opened_again
from still_clock import StillClock

PACE_S = 2.0


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def cache(clock: StillClock) -> Cache:
    return Cache(clock)


@pytest.fixture
def ahead(cache: Cache, clock: StillClock) -> Iterator[Ahead]:
    made = Ahead(cache, PACE_S, clock)
    yield made
    made.close()


def _never() -> int:
    raise AssertionError("the answer was to be there already")


def test_what_was_asked_for_is_renewed_of_the_old_answer(cache: Cache, ahead: Ahead, clock: StillClock) -> None:
    assert cache.get("k", lambda: 1, PACE_S) == 1
    ahead.used("k", lambda old: old + 1)
    clock.now += PACE_S - 0.1
    ahead.renew()
    clock.now += PACE_S
    assert cache.get("k", _never, PACE_S) == 2
    clock.now += PACE_S * GOOD_FOR
    assert cache.get("k", lambda: 7, PACE_S) == 7  # nobody renewed it: it has grown too old


def test_what_nobody_asks_for_is_renewed_no_more(cache: Cache, ahead: Ahead, clock: StillClock) -> None:
    cache.get("k", lambda: 1, 1000)
    ahead.used("k", lambda old: old + 1)
    clock.now += USED_WITHIN_S + 1
    ahead.renew()
    assert cache.get("k", _never, 1000) == 1


def test_callers_get_the_old_answer_while_it_is_renewed_but_not_for_ever(
    cache: Cache, ahead: Ahead, clock: StillClock
) -> None:
    started, release = threading.Event(), threading.Event()

    def slowly(old: int) -> int:
        started.set()
        assert release.wait(180)
        return old + 1

    cache.get("k", lambda: 1, PACE_S)
    ahead.used("k", slowly)
    renewing = threading.Thread(target=ahead.renew)
    renewing.start()
    assert started.wait(180)
    clock.now += PACE_S * WAITED_FOR - 0.1
    assert cache.get("k", _never, PACE_S) == 1
    clock.now += 0.2
    assert cache.get("k", lambda: 50, PACE_S) == 50
    release.set()
    renewing.join(180)
    assert cache.get("k", _never, PACE_S) == 50  # what came late replaces nothing newer


def test_a_renewal_that_fails_leaves_it_to_the_next_who_asks(cache: Cache, ahead: Ahead, clock: StillClock) -> None:
    def fail(_old: int) -> int:
        raise StoreUnavailableError("gone")

    cache.get("k", lambda: 1, PACE_S)
    ahead.used("k", fail)
    ahead.renew()
    clock.now += PACE_S * WAITED_FOR
    assert cache.get("k", lambda: 3, PACE_S) == 3


def test_what_was_forgotten_meanwhile_stays_forgotten(cache: Cache, ahead: Ahead) -> None:
    cache.get("k", lambda: 1, PACE_S)

    def forgotten(old: int) -> int:
        cache.clear()
        return old + 1

    ahead.used("k", forgotten)
    ahead.renew()
    assert cache.get("k", lambda: 9, PACE_S) == 9


def test_it_works_only_while_somebody_is_expected(cache: Cache) -> None:
    clock = StillClock()
    ahead = Ahead(cache, 0.01, clock)
    renewed = threading.Semaphore(0)

    def renew(old: int) -> int:
        renewed.release()
        return old + 1

    cache.get("k", lambda: 1, 1000)
    ahead.used("k", renew)
    assert not ahead.running
    ahead.expect(5)
    assert renewed.acquire(timeout=180)
    assert renewed.acquire(timeout=180)
    clock.now += 6
    wait_until(lambda: not ahead.running, "its thread ends")
    ahead.expect(5)  # and begins again
    ahead.used("k", renew)
    while renewed.acquire(blocking=False):
        pass
    assert renewed.acquire(timeout=180)
    ahead.close()
    assert not ahead.running


def test_a_page_sees_what_came_without_waiting_for_what_all_must_know(store: Store) -> None:
    now = time.time_ns() // MINUTE * MINUTE
    scope = Scope(from_ns(now - 60 * MINUTE), from_ns(now + MINUTE))
    with opened_again(store, remember_s=0.5) as opened:
        assert invocations.totals(opened, scope).invocations == 0
        opened.expect(60)
        store.land("traces", otlp.segment(otlp.Run(now - MINUTE).traces()), f"ahead-{now}")
        wait_until(lambda: invocations.totals(opened, scope).invocations == 1, "it is counted")
