"""Run as a program: moto's server, with a quicker clock, and with one call at a time where moto forgets to lock.

moto reads the time by way of two datetimes, 20 microseconds each, and SQS does so several times for every message that
waits whenever one is received: with a thousand waiting, ten messages took half a second. Services import the clock when
they are first used, so what is put in its place here reaches all of them.

Its server has a thread for each request, and its queues, streams and tables have no locks: two messages that are
deleted at once bring one of them back, one that is sent meanwhile is lost, two records put at once get one number, two
conditional writes both hold. Here the calls of these services follow each other.
"""

import functools
import inspect
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from moto.core import utils
from moto.core.base_backend import BaseBackend
from moto.server import main

_GUARDED = ("SQSBackend", "KinesisBackend", "DynamoDBBackend", "DynamoDBStreamsBackend")
_FREES = ("send_message", "send_message_batch", "delete_message_batch", "change_message_visibility_batch")
_LOOK_AGAIN = 1.0  # seconds until a long poll looks by itself: what comes back by its time-out wakes nobody

_slow = utils.unix_time
_one_call = threading.RLock()
_queues_changed = threading.Condition(_one_call)


def unix_time(dt: datetime | None = None) -> float:
    """Return seconds since 1970, of now or of a time without a zone."""
    return time.time() if dt is None else _slow(dt)


def unix_time_millis(dt: datetime | None = None) -> float:
    """Return milliseconds since 1970."""
    return unix_time(dt) * 1000.0


def install(base: type) -> None:
    """Have the services that need it guarded when their classes are made, which is when they are first used."""
    base.__init_subclass__ = classmethod(_guard)  # type: ignore[assignment,arg-type]  # classes are untyped here


def _guard(cls: type, **_: object) -> None:
    if cls.__name__ not in _GUARDED:
        return
    for name, method in list(vars(cls).items()):
        if inspect.isfunction(method) and not name.startswith("_"):
            patient = name == "receive_message"
            setattr(cls, name, _patient(method) if patient else _guarded(method, frees=name in _FREES))


def _guarded(method: Callable[..., Any], *, frees: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- moto's own
        with _one_call:
            try:
                return method(*args, **kwargs)
            finally:
                if frees:
                    _queues_changed.notify_all()

    return call


def _patient(receive: Callable[..., Any]) -> Callable[..., Any]:
    """Return SQS's receive with a long poll that waits without holding the others up.

    moto's own asks without a pause, on a CPU of its own, while a FIFO queue has messages that wait for others of their
    group.
    """

    @functools.wraps(receive)
    def call(
        self: Any,  # noqa: ANN401 -- moto's own
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Any]:
        end = time.monotonic() + wait_seconds_timeout
        with _one_call:
            while True:
                found: list[Any] = receive(self, queue_name, count, 0, visibility_timeout, message_attribute_names)
                left = end - time.monotonic()
                if found or left <= 0:
                    return found
                soonest = _soonest(self.get_queue(queue_name))
                _queues_changed.wait(min(left, _LOOK_AGAIN, soonest))

    return call


def _soonest(queue: Any) -> float:  # noqa: ANN401 -- moto's own
    """Return the seconds until a hidden message of a queue may be had."""
    now = unix_time_millis()
    hidden = [max(one.visible_at, one.delayed_until) - now for one in queue._messages]
    return min((one / 1000 + 0.001 for one in hidden if one >= 0), default=_LOOK_AGAIN)


if __name__ == "__main__":
    utils.unix_time = unix_time
    utils.unix_time_millis = unix_time_millis
    install(BaseBackend)
    main()
