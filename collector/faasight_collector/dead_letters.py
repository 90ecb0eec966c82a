"""Records that the store will never take, kept with their reason for a person to look at."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from faasight_collector.writer import sync_directory

log = structlog.get_logger()


class DeadLetters:
    """A folder of `<name>.bin` (the record as it was) and `<name>.json` (why it is here)."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.bytes = sum(path.stat().st_size for path in directory.iterdir())

    def keep(self, signal: str, name: str, payload: bytes | memoryview, reason: str) -> None:
        """Store one record safely on disk; the same name again changes nothing. Raises OSError."""
        data, note = self._directory / f"{name}.bin", self._directory / f"{name}.json"
        if note.exists():
            return
        when = datetime.fromtimestamp(self._clock(), UTC).isoformat()
        text = json.dumps({"signal": signal, "reason": reason, "time": when, "bytes": len(payload)}, indent=1).encode()
        _write(data, payload)
        _write(note, text)  # last: a letter without its note is written anew
        sync_directory(self._directory)
        self.bytes += len(payload) + len(text)
        log.warning("record went to the dead letters", signal=signal, name=name, reason=reason)


def _write(path: Path, data: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
