"""Records that the store will never take, kept with their reason for a person to look at."""

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from faasight_collector.preview import without_secrets
from faasight_collector.writer import sync_directory

log = structlog.get_logger()

FOLDER = "dead-letters"  # in a journal's directory
DAMAGE = "journal damage"  # begins the reason of bytes that the disk, or a crash, has spoiled
INPUT = "input-"  # begins the name of what could not even be read when it came
_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Letter:
    """One record that the store did not take, as it lies on the disk."""

    name: str
    signal: str
    reason: str
    time: str  # ISO 8601, when it was given up
    bytes: int
    path: Path  # of its bytes; the note lies beside it

    @property
    def whole(self) -> bool:
        """Whether these are the bytes of a request, so that they may be tried again."""
        return not self.reason.startswith(DAMAGE) and not self.name.startswith(INPUT)

    def delete(self) -> None:
        """Remove it for good; the note first. Bytes without one are no letter, and cleared away."""
        self.path.with_suffix(".json").unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        sync_directory(self.path.parent)


def read(directory: Path) -> Iterator[Letter]:
    """Yield the letters of a folder, oldest first by name; what vanishes meanwhile, or is no letter, is left out."""
    if not directory.is_dir():
        return
    for note in sorted(directory.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            said = json.loads(note.read_bytes())
            path = note.with_suffix(".bin")
            if _NAME.fullmatch(note.stem) and path.exists():
                yield Letter(note.stem, said["signal"], said["reason"], said["time"], int(said["bytes"]), path)


class DeadLetters:
    """A folder of `<name>.bin` (the record as it was) and `<name>.json` (why it is here), for several threads."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._changed_ns = -1
        self.bytes = 0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_away_halves(directory)
        self.recount()

    def keep(self, signal: str, name: str, payload: bytes | memoryview, reason: str, when: str = "") -> bool:
        """Store one record safely on disk and return True; False if it is here already, by its name.

        Raises OSError: call it again then.
        """
        data, note = self._directory / f"{name}.bin", self._directory / f"{name}.json"
        when = when or datetime.fromtimestamp(self._clock(), UTC).isoformat()
        text = json.dumps({"signal": signal, "reason": reason, "time": when, "bytes": len(payload)}, indent=1).encode()
        with self._lock:
            if note.exists():
                return False
            _write(data, payload)
            _write(note, text)  # last: a letter without its note is written anew
            sync_directory(self._directory)
            self.bytes += len(payload) + len(text)
        log.warning("record went to the dead letters", signal=signal, name=name, reason=without_secrets(reason))
        return True

    def adopt(self, directory: Path) -> int:
        """Take over the letters of another folder, and return how many. Raises OSError."""
        taken = 0
        for letter in read(directory):
            self.keep(letter.signal, letter.name, letter.path.read_bytes(), letter.reason, letter.time)
            letter.delete()
            taken += 1
        _clear_away_halves(directory)
        return taken

    def recount(self) -> None:
        """Count anew how many bytes they take, if anybody has added or deleted some."""
        with self._lock, contextlib.suppress(OSError):
            changed_ns = self._directory.stat().st_mtime_ns
            if changed_ns != self._changed_ns:
                self.bytes = sum(path.stat().st_size for path in self._directory.iterdir())
                self._changed_ns = changed_ns


def _clear_away_halves(directory: Path) -> None:
    """Delete bytes without a note, as a kill within `keep` or `delete` leaves them: nobody would see or count them out.

    Only for whoever has the journal's lock: in the midst of `keep` a letter looks like that.
    """
    with contextlib.suppress(
        OSError
    ):  # without the folder there is nothing; what stays is tried again on the next start
        for path in directory.iterdir():
            if path.suffix == ".part" or (path.suffix == ".bin" and not path.with_suffix(".json").exists()):
                path.unlink(missing_ok=True)


def _write(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole, or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
