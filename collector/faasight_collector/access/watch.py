"""Tells when a file was changed or replaced, by a look at its metadata."""

from collections.abc import Sequence
from pathlib import Path

_Mark = tuple[int, int, int] | None


class FileWatch:
    """Files that belong together: a look at them a second is cheaper than a thread that watches."""

    def __init__(self, *paths: Path) -> None:
        self._paths: Sequence[Path] = paths
        self._marks = self._look()

    def changed(self) -> bool:
        """Tell whether any is not as it was at the last call; one that has gone is as it was until it is back."""
        marks = self._look()
        if None in marks or marks == self._marks:
            return False
        self._marks = marks
        return True

    def _look(self) -> list[_Mark]:
        return [_mark(path) for path in self._paths]


def _mark(path: Path) -> _Mark:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
