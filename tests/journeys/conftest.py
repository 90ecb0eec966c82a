"""The whole system as its users run it."""

from collections.abc import Iterator

import pytest
from browser import chromium
from demo import Demo, make_demo
from slack_server import SlackServer, running_slack

__all__ = ["chromium"]  # a fixture


@pytest.fixture(scope="session")
def slack() -> Iterator[SlackServer]:
    """Run a Slack of our own."""
    with running_slack() as server:
        yield server


@pytest.fixture(scope="module")
def demo(slack: SlackServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all journeys of a file that only look; it ends with them, for its customers take half a core."""
    running = make_demo(tmp_path_factory.mktemp("demo"), slack.url)
    running.start()
    yield running
    status = running.end()
    assert status == 0, running.said()[-3000:]
