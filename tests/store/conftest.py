"""Stores that several tests share, for to make one costs a second."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import shop_history
from faasight_store import Store


@contextmanager
def _own_database(request: pytest.FixtureRequest) -> Iterator[Store]:
    name = f"shared_{secrets.token_hex(4)}"
    if request.param == "embedded":
        request.getfixturevalue("embedded_engine")
        dsn = f"chdb://{request.getfixturevalue('embedded_directory')}?database={name}"
    else:
        dsn = f"clickhouse://127.0.0.1:{request.getfixturevalue('clickhouse_port')}/{name}"
    with Store.open(dsn) as store:
        store.migrate()
        yield store


@pytest.fixture(scope="session", params=["embedded", "server"])
def shared_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Return a store that tests write to, each under names of its own."""
    with _own_database(request) as store:
        yield store


@pytest.fixture(scope="session", params=["embedded", "server"])
def shop(request: pytest.FixtureRequest) -> Iterator[shop_history.Shop]:
    """Return the shop, for tests that only read."""
    with _own_database(request) as store:
        yield shop_history.stored(store)
