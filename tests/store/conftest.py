"""The shop's history in a store that tests share, and stores that remember."""

import os
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import shop_history
from faasight_store import Store
from reopened import opened_again


@pytest.fixture(scope="session")
def shop_in(store_named: Callable[[str, str], Store]) -> Callable[[str], shop_history.Shop]:
    """Return the shop of a mode, which is stored once."""
    return cache(lambda mode: shop_history.stored(store_named(mode, "shop")))


@pytest.fixture(params=os.environ.get("STORE_MODES", "embedded,server").split(","))
def shop(request: pytest.FixtureRequest, shop_in: Callable[[str], shop_history.Shop]) -> shop_history.Shop:
    """Return the shop, for tests that only read."""
    return shop_in(request.param)


@pytest.fixture
def remembering(store: Store) -> Iterator[Store]:
    """Return a store on the same tables that remembers for longer than a test takes."""
    with opened_again(store, remember_s=600) as opened:
        yield opened
