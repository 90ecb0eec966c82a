"""The courier: a collector that is away, slow or refuses never touches the functions, and little is lost."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import faasight_emulator.courier
import pytest
from faasight_emulator import Emulator
from faasight_emulator.courier import Courier
from faasight_emulator.platform import Identity
from polling import wait_until

Start = Callable[..., Emulator]
F = Identity("f", "1", "123456789012", "us-east-1", 128, "default", "i-1")


@pytest.fixture
def courier(sink: Any) -> Iterator[Courier]:
    """Carry to the sink."""
    one = Courier(sink.url)
    one.start()
    yield one
    one.stop(0.1)


def event(number: int, text: str = "") -> dict[str, Any]:
    return {"time": "", "type": "function", "record": f"{number} {text}"}


def test_a_dead_collector_delays_nothing(one: Start) -> None:
    """Functions run as fast when nobody listens, and when somebody takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for collector in ("http://127.0.0.1:9", f"http://127.0.0.1:{silent.getsockname()[1]}"):
            emulator = one("count", collector=collector)
            emulator.invoke("f", {})
            durations = []
            for _ in range(20):
                began = time.monotonic()
                assert emulator.invoke("f", {}).ok
                durations.append(time.monotonic() - began)
            assert min(durations) < 1.5, "a connection's time-out is two seconds: each would have waited for it"
            emulator.stop()


def test_what_was_not_taken_comes_later_once_and_in_order(courier: Courier, sink: Any) -> None:
    """While the collector answers 503 the events wait; then they come, each once."""
    sink.status = 503
    for number in range(100):
        courier.put(F, event(number))
    wait_until(lambda: sink.posts, "the first try has been made")
    sink.posts.clear()
    sink.status = 200
    wait_until(lambda: courier.counts().delivered == 100, "all are delivered")
    # Posts that were under way when the status changed have been refused; the last one carries the batch.
    delivered = [entry["record"] for entry in json.loads(sink.posts[-1][2])]
    assert delivered == [f"{number} " for number in range(100)]


def test_refused_events_are_not_sent_for_ever(courier: Courier, sink: Any) -> None:
    """What the collector calls wrong is counted and left."""
    sink.status = 400
    courier.put(F, event(1))
    wait_until(lambda: courier.counts().refused == 1, "the refusal is counted")
    sink.status = 200
    courier.put(F, event(2))
    wait_until(lambda: courier.counts().delivered == 1, "the next is delivered")


def test_memory_is_bounded(sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the room is full the oldest go, and the loss is told by platform.logsDropped."""
    monkeypatch.setattr(faasight_emulator.courier, "MAX_WAITING", 10_000)
    courier = Courier(sink.url)
    for number in range(100):
        courier.put(F, event(number, "x" * 500))
    assert 80 <= courier.counts().dropped < 100
    courier.start()
    events = sink.wait_for("f", "platform.logsDropped")
    assert events[0]["droppedRecords"] == courier.counts().dropped
    assert events[0]["droppedBytes"] > 40_000
    assert sink.events("f", "function")[-1]["record"].startswith("99 ")
    courier.stop(1)


def test_stop_delivers_what_is_left(sink: Any) -> None:
    """The last events are posted before the end."""
    courier = Courier(sink.url)
    courier.start()
    for number in range(10):
        courier.put(F, event(number))
    courier.stop(5)
    assert len(sink.events("f")) == 10


def test_a_name_that_no_header_can_hold_stops_nothing_else(courier: Courier) -> None:
    """The environment's name is the user's: what cannot be posted is counted, and the others' events are delivered."""
    courier.put(replace(F, environment="two\nlines"), event(1))
    courier.put(F, event(2))
    wait_until(lambda: courier.counts().delivered == 1, "the other is delivered")
    assert courier.counts().refused == 1
