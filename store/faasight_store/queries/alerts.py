"""State, history and outbox of alerts."""

from faasight_store.connection import Store
from faasight_store.types import AlertEvent, AlertInstance, Scope


def active(store: Store) -> list[AlertInstance]:
    """Return what is pending or firing, firing first, the most severe first."""
    raise NotImplementedError


def history(store: Store, scope: Scope, limit: int = 200) -> list[AlertEvent]:
    """Return changes of state, newest first."""
    raise NotImplementedError
