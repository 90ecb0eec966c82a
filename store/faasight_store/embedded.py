"""The engine inside this process: one directory and one bound on memory, shared by every store that is open on it."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from faasight_store.errors import StoreError
from faasight_store.lock import DirectoryLock

LEAST_MEMORY_BYTES = 512 * 1024 * 1024  # below it a request of 20 MiB may never be stored
MEMORY_ASKED = (
    "SELECT greatest(value, 0),"
    " (SELECT toInt64(value) FROM system.server_settings WHERE name = 'max_server_memory_usage')"
    " FROM system.metrics WHERE metric = 'MemoryTracking'"
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the engine has taken of the process's memory, and what it may take, in bytes."""

    used: int
    limit: int

    @classmethod
    def of(cls, rows: Sequence[tuple[int, ...]]) -> "Memory":
        """Return the answer to `MEMORY_ASKED`."""
        return cls(*map(int, rows[0]))


# By default an engine at rest wakes two hundred times a second for its forty tables. An insert has it look for merges
# by itself, nobody here streams from tables, and the process's memory need not be looked at twenty times a second.
QUIET = {
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": "1",
    "background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do": "60",
    "memory_worker_period_ms": "1000",
}

# jemalloc's own options, read once, when chDB is loaded. An insert takes some 150 MB and frees them; by default the
# system has them again within five seconds, and each insert begins with 30,000 page faults.
_ALLOCATOR, _KEEP_FREED = "JE_MALLOC_CONF", "dirty_decay_ms:30000"


@contextmanager
def keeping_freed_memory(limit: int) -> Iterator[None]:
    """Have an engine that is loaded in this block keep for half a minute what it frees.

    Not where `limit` bounds it, nor where the variable says otherwise; child processes do not get to see it.
    """
    if limit or _ALLOCATOR in os.environ:
        yield
        return
    os.environ[_ALLOCATOR] = _KEEP_FREED
    try:
        yield
    finally:
        os.environ.pop(_ALLOCATOR, None)


def memory_options(limit: int) -> dict[str, str]:
    """Return what the engine starts with, so that it stays within `limit` bytes; nothing for 0.

    Its caches are 5 GiB by default and count: they would fill it for good. Merges start only while half of it is free.
    """
    if not limit:
        return {}
    shares = {
        "max_server_memory_usage": 1,
        "merges_mutations_memory_usage_soft_limit": 2,
        "mark_cache_size": 16,
        "primary_index_cache_size": 16,
        "index_mark_cache_size": 32,
    }
    return {name: str(limit // part) for name, part in shares.items()}


class Engine:
    """A use of the process's one engine; the directory is free again when the last use is released."""

    _guard: ClassVar[threading.Lock] = threading.Lock()
    _path: ClassVar[Path | None] = None
    _uses: ClassVar[int] = 0
    _memory_bytes: ClassVar[int] = 0
    _lock: ClassVar[DirectoryLock | None] = None

    @classmethod
    def acquire(cls, path: Path, memory_bytes: int = 0) -> "Engine":
        """Lock the directory for this process.

        Raises StoreLockedError, or StoreError if another directory is open, or with another bound on its memory.
        """
        path = path.resolve()
        with cls._guard:
            if cls._path is None:
                lock = DirectoryLock(path)
                lock.acquire()
                cls._path, cls._lock, cls._memory_bytes = path, lock, memory_bytes
            elif cls._path != path:
                raise StoreError(
                    f"This process has the data directory {cls._path} open and cannot open {path} too: "
                    "chDB allows one at a time. "
                    "Close the other store first, or use one directory with several databases (chdb:///path?database=name)."
                )
            elif cls._memory_bytes != memory_bytes:
                raise StoreError(
                    f"The engine of {path} runs in this process with {_shown(cls._memory_bytes)} of memory, "
                    f"and cannot have {_shown(memory_bytes)} too: give both the same."
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


def _shown(memory_bytes: int) -> str:
    return f"{memory_bytes // 1024**2} MiB" if memory_bytes else "no bound"
