"""Watches the code of functions, so that a change is run at once: whose folder has changed gets new sandboxes.

It looks at names, sizes and times of the files every second; a file system's own notifications would need a package for
each kind of machine, and miss what is mounted.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

INTERVAL = 1.0  # seconds between looks
_SHARE = 20  # a look may take this part of the time between looks
_MAX_FILES = 5_000
_NOT_CODE = ("__pycache__", "node_modules")
Print = frozenset[tuple[str, int, int]]


class Watch:
    """Calls `changed` on the event loop with each folder (or file) that is no longer as it was."""

    def __init__(self, paths: Iterable[Path], changed: Callable[[Path], Awaitable[None]]) -> None:
        self._changed = changed
        self._seen = {path: fingerprint(path) for path in set(paths)}

    async def run(self, interval: float = INTERVAL) -> None:
        """Look until cancelled."""
        pause = interval
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            found = await asyncio.to_thread(self._look)
            pause = max(interval, (time.monotonic() - began) * _SHARE)
            for path in found:
                await self._changed(path)

    def _look(self) -> list[Path]:
        """Return what has changed since the last look; of something half written the rest is seen by the next."""
        found = []
        for path, before in self._seen.items():
            now = fingerprint(path)
            if now != before:
                self._seen[path] = now
                found.append(path)
        return found


def fingerprint(path: Path) -> Print:
    """Return names, times (nanoseconds) and sizes of the files of a folder, of the first 5,000; of a file its own."""
    found = set()
    for number, entry in enumerate(_files(path)):
        if number >= _MAX_FILES:
            break
        try:
            told = os.stat(entry)  # noqa: PTH116 -- a Path for each file costs more than the look at it
        except OSError:  # gone meanwhile
            continue
        found.add((entry, told.st_mtime_ns, told.st_size))
    return frozenset(found)


def _files(path: Path) -> Iterator[str]:
    if path.is_file():
        yield str(path)
        return
    # A Path for each file would cost more than the look at it.
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _NOT_CODE)
        yield from (
            os.path.join(folder, one)  # noqa: PTH118 -- as above
            for one in sorted(files)
            if not one.startswith(".") and not one.endswith((".pyc", "~"))
        )
