"""A store in each mode and a Slack, shared by the tests of alerts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_world import World
from faasight_store import Store
from slack_server import Reply, SlackServer, running_slack


@pytest.fixture(scope="session", params=["embedded", "server"])
def migrated(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Open one store in each mode for all tests here: the schema takes longer than a test."""
    if request.param == "embedded":
        request.getfixturevalue("embedded_engine")
        dsn = f"chdb://{request.getfixturevalue('embedded_directory')}?database=alerts"
    else:
        dsn = f"clickhouse://127.0.0.1:{request.getfixturevalue('clickhouse_port')}/alerts"
    with Store.open(dsn) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def emptied(migrated: Store) -> Store:
    """Return a store without alerts and invocations."""
    for table in ("alert_changes", "alert_deliveries", "alert_leases", "invocation_facts"):
        migrated.command(f"TRUNCATE TABLE {table}")
    return migrated


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
