"""A store that need not be there yet: what is asked of it fails as if it were away, until it can be opened."""

import threading
from collections.abc import Callable
from typing import Any, cast

import structlog
from faasight_store import Store, StoreUnavailableError

log = structlog.get_logger("faasight")


class _LateStore:
    """Opens the store at its first use that succeeds."""

    def __init__(self, opening: Callable[[], Store]) -> None:
        self._opening = opening
        self._store: Store | None = None
        self._closed = False
        self._lock = threading.Lock()

    def open(self) -> Store:
        """Return the store. Raises StoreError."""
        with self._lock:
            if self._closed:
                raise StoreUnavailableError("The store is closed.")
            if self._store is None:
                self._store = self._opening()
            return self._store

    def close(self) -> None:
        """Close it if it was ever opened."""
        self._closed = True
        if self._store is not None:
            self._store.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever a store has
        return getattr(self.open(), name)


def late_store(opening: Callable[[], Store]) -> Store:
    """Return what `opening` returns; if the server cannot be reached, something that tries again at each use.

    Raises StoreError for what waiting does not mend.
    """
    late = _LateStore(opening)
    try:
        return late.open()
    except StoreUnavailableError as error:
        log.warning("the store cannot be reached; the journal keeps what comes until it can", error=str(error))
    return cast(Store, late)
