"""SIGKILL at random instants under load: what was acknowledged is stored, and nothing twice.

The long version, with as many rounds as one likes: `make torture`.
"""

import pytest

from tests.collector.kill_rounds import run


@pytest.mark.parametrize(("mode", "rounds"), [("embedded", 2), ("server", 2), ("store", 1), ("workers", 4)])
def test_acknowledged_is_stored_once_whatever_is_killed(mode: str, rounds: int, shared_server: str) -> None:
    """The collector, the engine under it, one of several workers, or all of them."""
    server = shared_server if mode in {"server", "workers"} else ""  # the other two have an engine of their own
    result = run(mode, rounds, seed=4711, longest_s=0.3, server=server)
    assert result["cut_off"], "no request was cut off: the test shows nothing"
    assert result["acknowledged"]
    assert (result["lost"], result["doubled"], result["unacknowledged"]) == (0, 0, 0), result
