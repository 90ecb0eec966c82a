"""The invocation map: who called whom."""

from faasight_store.connection import Store
from faasight_store.types import InvocationMap, Scope


def invocation_map(store: Store, scope: Scope) -> InvocationMap:
    """Return nodes and edges, both sorted by id."""
    raise NotImplementedError
