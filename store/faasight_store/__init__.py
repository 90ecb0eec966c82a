"""ClickHouse: schema, connection, and every query as a typed function. The only place with SQL."""

from faasight_store.connection import Store
from faasight_store.embedded import LEAST_MEMORY_BYTES, Memory
from faasight_store.errors import (
    BadDataError,
    DsnError,
    QueryError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
)
from faasight_store.rollup import settle
from faasight_store.types import Scope

__all__ = [
    "LEAST_MEMORY_BYTES",
    "BadDataError",
    "DsnError",
    "Memory",
    "QueryError",
    "Scope",
    "Store",
    "StoreError",
    "StoreLockedError",
    "StoreUnavailableError",
    "settle",
]
