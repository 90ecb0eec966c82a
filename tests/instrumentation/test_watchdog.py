"""The thread that sees deadlines come."""

import threading
import time
from typing import Any

from faasight.watchdog import Watchdog


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
