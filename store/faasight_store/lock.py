"""The lock of a data directory: one process at a time, said in one sentence."""

import fcntl
import os
from pathlib import Path
from typing import IO

from faasight_store.errors import StoreError, StoreLockedError

NAME = "faasight.lock"


class DirectoryLock:
    """An flock on a file in the directory, which the system releases even if the process is killed.

    The engine has a lock of its own, but says so in two unrelated messages, one of them on stderr.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock, making the directory if need be; raises StoreLockedError or StoreError."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            file = (self._path / NAME).open("a+", encoding="ascii")
        except OSError as error:
            raise StoreError(
                f"The data directory {self._path} cannot be used: {error.strerror}. Choose another one by FAASIGHT_STORE=chdb:///path."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise StoreLockedError(
                f"The data directory {self._path} is in use by another process{f' (pid {holder})' if holder else ''}: "
                "stop that one, or choose another directory by FAASIGHT_STORE=chdb:///path."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None
