"""Ports for processes that must be told theirs beforehand: nobody else is given them meanwhile."""

import itertools
import os
import random
import socket

# Below what the kernel gives to port 0 and to outgoing connections (net.ipv4.ip_local_port_range, from 32768 on): a
# port that is free when it is chosen is still free when a process that takes seconds to start binds it. Each worker of
# pytest-xdist has a thousand of its own; the random start keeps two runs on one machine apart.
_FIRST, _EACH, _WORKERS = 20_000, 1_000, 12
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_own = range(_FIRST + _worker * _EACH, _FIRST + (_worker + 1) * _EACH)
_next = itertools.cycle(random.sample(_own, len(_own)))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, each given out once in a thousand."""
    return list(itertools.islice(filter(_is_free, _next), count))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
