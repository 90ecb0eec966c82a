"""The engine inside this process: one directory, shared by every store that is open on it."""

import threading
from pathlib import Path
from typing import ClassVar

from faasight_store.errors import StoreError
from faasight_store.lock import DirectoryLock


class Engine:
    """A use of the process's one engine; the directory is free again when the last use is released."""

    _guard: ClassVar[threading.Lock] = threading.Lock()
    _path: ClassVar[Path | None] = None
    _uses: ClassVar[int] = 0
    _lock: ClassVar[DirectoryLock | None] = None

    @classmethod
    def acquire(cls, path: Path) -> "Engine":
        """Lock the directory for this process; raises StoreLockedError, or StoreError if another one is open."""
        path = path.resolve()
        with cls._guard:
            if cls._path is None:
                lock = DirectoryLock(path)
                lock.acquire()
                cls._path, cls._lock = path, lock
            elif cls._path != path:
                raise StoreError(
                    f"This process has the data directory {cls._path} open and cannot open {path} too: "
                    "chDB allows one at a time. "
                    "Close the other store first, or use one directory with several databases (chdb:///path?database=name)."
                )
            cls._uses += 1
        return cls()

    @classmethod
    def release(cls) -> None:
        """Give the directory back when nobody else in this process uses it."""
        with cls._guard:
            cls._uses -= 1
            if cls._uses == 0 and cls._lock is not None:
                cls._lock.release()
                cls._path = cls._lock = None
