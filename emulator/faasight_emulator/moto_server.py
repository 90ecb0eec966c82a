"""Run as a program: moto's server, with a quicker clock.

moto reads the time by way of two datetimes, 20 microseconds each, and SQS does so several times for every message that
waits whenever one is received: with a thousand waiting, ten messages took half a second. Services import the clock when
they are first used, so what is put in its place here reaches all of them.
"""

import time
from datetime import datetime

from moto.core import utils
from moto.server import main

_slow = utils.unix_time


def unix_time(dt: datetime | None = None) -> float:
    """Return seconds since 1970, of now or of a time without a zone."""
    return time.time() if dt is None else _slow(dt)


def unix_time_millis(dt: datetime | None = None) -> float:
    """Return milliseconds since 1970."""
    return unix_time(dt) * 1000.0


if __name__ == "__main__":
    utils.unix_time = unix_time
    utils.unix_time_millis = unix_time_millis
    main()
