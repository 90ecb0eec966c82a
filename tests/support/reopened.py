"""A second store on the tables of a test's."""

from contextlib import AbstractContextManager

from faasight_store import Store
from faasight_store.dsn import EmbeddedDsn


def opened_again(store: Store, *, remember_s: float) -> AbstractContextManager[Store]:
    """Open a store's database once more."""
    database = f"?database={store.dsn.database}" if isinstance(store.dsn, EmbeddedDsn) else ""
    return Store.open(f"{store.dsn}{database}", remember_s=remember_s)
