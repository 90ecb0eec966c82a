"""The thread that sees deadlines come."""

import threading
import time
from typing import Any

from faasight.watchdog import Watchdog
from polling import wait_until


def test_only_what_is_still_watched_is_reported() -> None:
    seen: list[Any] = []
    done = threading.Event()

    def expired(item: Any) -> None:
        seen.append(item)
        if item == "last":
            done.set()

    dog: Any = Watchdog(expired)
    now = time.monotonic()
    dog.watch("finished", now + 0.01)
    dog.watch("later", now + 3600)
    dog.forget("finished")
    dog.watch("earlier", now + 0.02)  # the thread sleeps for an hour by now: it must be woken
    dog.watch("last", now + 0.04)
    assert done.wait(10)
    assert seen == ["earlier", "last"]


def test_a_failing_report_does_not_end_the_watch(capsys: Any) -> None:
    done = threading.Event()

    def expired(item: Any) -> None:
        if item == "bad":
            raise ValueError("report failed")
        done.set()

    dog: Any = Watchdog(expired)
    dog.watch("bad", time.monotonic())
    dog.watch("good", time.monotonic() + 0.01)
    assert done.wait(10)


def test_calls_that_end_at_once_do_not_wake_the_thread_again_and_again() -> None:
    """Each wake is a thread switch, and may keep the handler waiting for the interpreter's lock."""
    dog: Any = Watchdog(lambda _item: None)
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
    dog: Any = Watchdog(lambda _item: None)
    dog.watch("only", time.monotonic() + 0.02)
    dog.forget("only")
    wait_until(lambda: dog._thread.is_alive() and dog._ahead == 0.0, "the thread has looked")
    wait_until(lambda: dog._sleeps_until == float("inf"), "the thread sleeps for good")
