"""What can go wrong with the store.

StoreError
├── DsnError            the address is malformed
├── StoreLockedError    the data directory is in use by another process
├── StoreUnavailableError    the server cannot be reached or asks to retry; try again
├── BadDataError        the engine refused the data; trying again is no use
└── QueryError          a user's query cannot be understood
"""


class StoreError(Exception):
    """Base of all; its text says what happened, where, and what to do.

    `answered` tells whether an insert failed on what was inserted, as far as one can tell: the engine was there, and
    did not say that it has troubles of its own. The same insert may fail for ever, or until the schema is mended.
    """

    answered = False


class DsnError(StoreError):
    """FAASIGHT_STORE cannot be understood."""


class StoreLockedError(StoreError):
    """The data directory is in use by another process."""


class StoreUnavailableError(StoreError):
    """The server cannot be reached, or is overloaded: the same call may succeed later."""


class BadDataError(StoreError):
    """The engine refused the data itself: the same call will fail again."""


class QueryError(StoreError):
    """A user's search cannot be understood; `position` is the place of the fault in it, from 0, where it has one."""

    def __init__(self, text: str, position: int | None = None) -> None:
        super().__init__(text)
        self.position = position
