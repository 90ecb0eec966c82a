"""The thread that sees deadlines come."""

import random
import threading
import time
from typing import Any

from faasight.watchdog import NEVER, Watchdog
from polling import wait_until


def test_only_what_is_still_watched_is_reported() -> None:
    seen: list[Any] = []
    done = threading.Event()

    def due(item: Any) -> float:
        seen.append(item)
        if item == "last":
            done.set()
        return NEVER

    dog: Any = Watchdog(due)
    now = time.monotonic()
    dog.watch("finished", now + 0.3)
    dog.watch("later", now + 3600)
    dog.forget("finished")
    dog.watch("earlier", now + 0.02)  # the thread sleeps for an hour by now: it must be woken
    dog.watch("last", now + 0.4)
    assert done.wait(180)
    assert seen == ["earlier", "last"]


def test_a_failing_report_does_not_end_the_watch(capsys: Any) -> None:
    done = threading.Event()

    def due(item: Any) -> float:
        if item == "bad":
            raise ValueError("report failed")
        done.set()
        return NEVER

    dog: Any = Watchdog(due)
    dog.watch("bad", time.monotonic())
    dog.watch("good", time.monotonic() + 0.01)
    assert done.wait(180)


def test_it_looks_again_when_it_is_told_to_and_not_at_what_is_over() -> None:
    seen: list[Any] = []
    done = threading.Event()

    def due(item: Any) -> float:
        seen.append(item)
        if item == "over":
            dog.forget(item)
        if seen.count("long") == 3:
            done.set()
            return NEVER
        return time.monotonic()

    dog: Any = Watchdog(due)
    dog.watch("over", time.monotonic())
    dog.watch("long", time.monotonic() + 0.01)
    assert done.wait(180)
    assert seen == ["over", "long", "long", "long"]


def test_nobody_is_overlooked_whoever_comes_while_it_goes_to_sleep() -> None:
    """Many threads bring times in no order: each is looked at, whatever the thread was doing."""
    seen: set[Any] = set()
    dog: Any = Watchdog(lambda item: seen.add(item) or NEVER)

    def bring(n: int) -> None:
        dice = random.Random(n)
        for i in range(400):
            dog.watch((n, i), time.monotonic() + dice.choice((0, 0.0001, 0.002)))

    threads = [threading.Thread(target=bring, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(seen) == 2_400, "all are seen")


def test_calls_that_end_at_once_do_not_wake_the_thread_again_and_again() -> None:
    """Each wake is a thread switch, and may keep the handler waiting for the interpreter's lock."""
    dog: Any = Watchdog(lambda _item: NEVER)
    wakes: list[float] = []
    dog.watch("first", time.monotonic() + 60)
    dog.forget("first")
    wait_until(lambda: dog._sleeps_until < float("inf"), "the thread sleeps")
    dog._start_or_wake = lambda: wakes.append(time.monotonic())
    for _ in range(100):
        dog.watch("next", time.monotonic() + 60)
        dog.forget("next")
    assert wakes == []


def test_the_thread_sleeps_for_good_once_calls_have_ceased() -> None:
    dog: Any = Watchdog(lambda _item: NEVER)
    dog.watch("only", time.monotonic() + 0.02)
    dog.forget("only")
    wait_until(lambda: dog._runs and dog._ahead == 0.0, "the thread has looked")
    wait_until(lambda: dog._sleeps_until == float("inf"), "the thread sleeps for good")
