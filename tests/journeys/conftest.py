"""The whole system as its users run it."""

import threading
from collections.abc import Iterator

import pytest
from browser import chromium
from demo import Demo, Slack, make_demo

__all__ = ["chromium"]  # a fixture


@pytest.fixture(scope="session")
def slack() -> Iterator[Slack]:
    """Run a Slack of our own."""
    server = Slack()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def demo(slack: Slack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all journeys that only look."""
    running = make_demo(tmp_path_factory.mktemp("demo"), slack.url)
    running.start()
    yield running
    status = running.end()
    assert status == 0, running.said()[-3000:]
