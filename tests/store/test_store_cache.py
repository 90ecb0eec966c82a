"""Ten viewers cost one query; a failure is told to all and kept for none."""

import contextlib
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from faasight_store import StoreUnavailableError
from faasight_store.cache import Cache


def test_an_answer_is_kept_until_it_is_too_old() -> None:
    now = [0.0]
    calls: list[float] = []
    cache = Cache(lambda: now[0])

    def compute() -> int:
        calls.append(now[0])
        return len(calls)

    assert [cache.get("k", compute, 2), cache.get("k", compute, 2)] == [1, 1]
    now[0] = 2
    assert cache.get("k", compute, 2) == 2
    assert cache.get("another", compute, 2) == 3


def test_ten_at_once_share_one_computation() -> None:
    cache, started, release, calls = Cache(), threading.Event(), threading.Event(), []

    def compute() -> str:
        calls.append(1)
        started.set()
        assert release.wait(180)
        return "answer"

    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(cache.get, "k", compute, 60)
        assert started.wait(180)
        others = [pool.submit(cache.get, "k", compute, 60) for _ in range(9)]
        release.set()
        assert {first.result(180), *(other.result(180) for other in others)} == {"answer"}
    assert len(calls) == 1


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    cache, started, release = Cache(), threading.Event(), threading.Event()

    def fail() -> str:
        started.set()
        assert release.wait(180)
        raise LookupError("no table")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "k", fail, 60)
        assert started.wait(180)
        second = pool.submit(cache.get, "k", lambda: "fine", 60)
        release.set()
        with pytest.raises(LookupError):
            first.result(180)
        with contextlib.suppress(LookupError):  # if it waited for the one that failed
            assert second.result(180) == "fine"  # it came after the failure
    assert cache.get("k", lambda: "fine", 60) == "fine"


def test_the_oldest_goes_when_there_are_too_many() -> None:
    cache = Cache(lambda: 0.0, capacity=2)
    for key in "abc":
        cache.get(key, lambda key=key: key, 60)  # type: ignore[misc]  # bound in the loop
    assert cache.get("a", lambda: "anew", 60) == "anew"
    assert cache.get("c", lambda: "anew", 60) == "c"


def test_an_answer_that_is_too_old_leaves_the_memory_with_the_next_question() -> None:
    class Answer:
        """Something that can be watched."""

    now = [0.0]
    cache = Cache(lambda: now[0])
    gone = weakref.ref(cache.get("old", Answer, 2))
    gc.collect()
    assert gone() is not None
    now[0] = 2.0
    cache.get("new", Answer, 2)
    gc.collect()
    assert gone() is None


def _fails(_: object) -> int:
    raise StoreUnavailableError("away")


def test_a_renewal_that_fails_makes_no_answer_last_longer() -> None:
    now = [0.0]
    cache = Cache(lambda: now[0])
    assert cache.get("k", lambda: 1, 3) == 1
    for at in (1.0, 2.0):
        now[0] = at
        with pytest.raises(StoreUnavailableError):
            cache.renew("k", _fails, 3, 6)
        assert cache.get("k", lambda: 2, 3) == 1
    now[0] = 3
    with pytest.raises(StoreUnavailableError):
        cache.get("k", lambda: _fails(None), 3)
    assert cache.get("k", lambda: 3, 3) == 3


def test_an_answer_that_is_too_old_is_not_given_while_it_is_renewed() -> None:
    now = [0.0]
    cache = Cache(lambda: now[0])
    cache.get("k", lambda: 1, 3)
    now[0] = 4
    given = []
    cache.renew("k", lambda old: given.append(cache.get("k", lambda: old + 10, 3)), 3, 6)
    assert given == [11]
    assert cache.get("k", lambda: 99, 3) == 11  # and what was asked anew meanwhile stays
