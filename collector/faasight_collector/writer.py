"""One open segment file, and what makes directory changes safe."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from faasight_collector.errors import JournalLockedError

_BUFFER = 1024 * 1024  # joined before a write: one system call for many small records


class SegmentFile:
    """A segment that is being written. Only what `commit` has returned for is counted in `bytes`."""

    def __init__(self, path: Path, descriptor: int, created_ms: int) -> None:
        self.path = path
        self.created_ms = created_ms
        self.bytes = 0
        self.broken = False  # it may hold more than `bytes`, because the disk refused to cut it back
        self._descriptor = descriptor
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._written = 0

    @classmethod
    def create(cls, path: Path, created_ms: int) -> "SegmentFile":
        """Make an empty segment whose directory entry survives a crash of the machine."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            sync_directory(path.parent)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return cls(path, descriptor, created_ms)

    @property
    def size(self) -> int:
        """Bytes with what is not committed yet."""
        return self._written + self._buffered

    def add(self, header: bytes, payload: bytes) -> None:
        """Write a record, or keep it for the next write."""
        self._buffer += (header, payload)
        self._buffered += len(header) + len(payload)
        if self._buffered >= _BUFFER:
            self._flush()

    def commit(self) -> None:
        """Return when all added records are on the disk; raises OSError if they are not."""
        self._flush()
        os.fdatasync(self._descriptor)
        self.bytes = self._written

    def roll_back(self) -> None:
        """Cut off what was added since the last commit, and make that safe: its requests were refused.

        Raises OSError if the disk refuses that too. Then the file must be neither sealed nor written to until it could
        be cut back: those requests may come again, and would be stored twice.
        """
        self.broken = True
        self._buffer.clear()
        self._buffered = 0
        os.ftruncate(self._descriptor, self.bytes)
        os.fdatasync(self._descriptor)
        self._written = self.bytes
        self.broken = False

    def seal(self) -> Path | None:
        """Close the file under its final name; an empty one is deleted and None returned.

        Raises OSError if it cannot be renamed; then it may be called again.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # what counts has been synced
                os.close(descriptor)
        if not self.bytes:
            self.path.unlink(missing_ok=True)
            return None
        path = self.path.with_suffix(".sealed")
        self.path.rename(path)
        return path

    def _flush(self) -> None:
        view = memoryview(b"".join(self._buffer))
        self._buffer.clear()
        self._buffered = 0
        while view:
            written = os.write(self._descriptor, view)
            self._written += written
            view = view[written:]


def sync_directory(path: Path) -> None:
    """Make a directory's entries safe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_directory(path: Path, wait_s: float = 0.0) -> Callable[[], None]:
    """Take a directory for this process and return how to give it back.

    The kernel releases the lock when a process dies, however it dies. Raises JournalLockedError, after `wait_s` if
    another process keeps it (a neighbour that adopts what is in it gives it back soon).
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _lock_directory(path)
        except JournalLockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


def _lock_directory(path: Path) -> Callable[[], None]:
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalLockedError(
            f"The journal {path} is in use by another collector (process {owner}): "
            "stop it, or give this one another directory."
        ) from error
    with contextlib.suppress(OSError):  # a full disk: the number is for people, the lock holds without it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def release() -> None:
        with contextlib.suppress(OSError):
            os.close(descriptor)

    return release
