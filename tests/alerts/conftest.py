"""A store in each mode and a Slack, shared by the tests of alerts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_world import World
from faasight_store import Store
from slack_server import Reply, SlackServer, running_slack


@pytest.fixture(params=["embedded", "server"])
def emptied(request: pytest.FixtureRequest, store_named: Callable[[str, str], Store]) -> Store:
    """Return a store without alerts and invocations, once in each mode."""
    store = store_named(request.param, "alerts")
    for table in ("alert_changes", "alert_deliveries", "alert_leases", "invocation_facts"):
        store.command(f"TRUNCATE TABLE {table}")
    return store


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """Run a Slack that says ok unless told otherwise."""
    with running_slack() as server:
        yield server


@pytest.fixture
def reply() -> Callable[..., Reply]:
    """Make an answer for `slack.replies`."""
    return Reply


@pytest.fixture
def world(emptied: Store, slack: Any, tmp_path: Path) -> World:
    """Give a fresh store and a Slack."""
    return World(emptied, slack.url, tmp_path)
