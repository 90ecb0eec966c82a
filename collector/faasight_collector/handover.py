"""Hands dead letters in again: as a small journal of their own, which a running collector adopts, or the next one."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from faasight_collector.adoption import HANDED
from faasight_collector.dead_letters import Letter
from faasight_collector.errors import JournalLockedError
from faasight_collector.segments import digest_of, encode_header
from faasight_collector.writer import lock_directory, sync_directory

_RETRIED = re.compile(r"retry(\d+)-(.+)-0")


def hand_over(letters: Sequence[Letter], home: Path) -> Path:
    """Make a journal under `home` with one segment for each letter, delete the letters, and return its folder.

    A segment's id, its deduplication token, follows from the letter's name: if this breaks off before the letters are
    deleted, and is done again, they are stored once all the same. Raises OSError.
    """
    _clear_away_halves(home)
    name = f"{HANDED}{secrets.token_hex(8)}"
    made = home / f".{name}"  # under this name nobody adopts it
    unlock = lock_directory(made)
    try:
        _fill(made, letters)
        whole = made.rename(home / name)
        sync_directory(home)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    finally:
        unlock()
    for letter in letters:
        letter.delete()
    return whole


def _fill(made: Path, letters: Sequence[Letter]) -> None:
    for letter in letters:
        folder = made / letter.signal
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        payload = letter.path.read_bytes()
        path = folder / f"{segment_id(letter.name)}.sealed"
        path.touch(0o600)
        path.write_bytes(encode_header(payload, digest_of(letter.signal, payload)) + payload)
        _sync(path)
        sync_directory(folder)
    sync_directory(made)


def _clear_away_halves(home: Path) -> None:
    """Delete what broke off before it had its name: the letters in it are still where they were."""
    for left in home.glob(f".{HANDED}*"):
        with contextlib.suppress(JournalLockedError, OSError):  # somebody else is at it
            unlock = lock_directory(left)
            try:
                shutil.rmtree(left)
            finally:
                unlock()


def segment_id(name: str) -> str:
    """Return the id under which a letter is tried again; a letter of that name is the same one, refused again."""
    first, tries = origin(name)
    return f"retry{tries + 1}-{first}"


def origin(name: str) -> tuple[str, int]:
    """Return under which name a letter was refused first, and how often it was tried again since."""
    again = _RETRIED.fullmatch(name)
    return (again[2], int(again[1])) if again else (name, 0)


def superseded(letters: Sequence[Letter]) -> list[Letter]:
    """Return those that were handed in again and refused again, and stand there still: `hand_over` was killed.

    To hand them in as well would store what they hold twice: each try has a token of its own.
    """
    newest: dict[str, int] = {}
    for letter in letters:
        first, tries = origin(letter.name)
        newest[first] = max(tries, newest.get(first, 0))
    return [letter for letter in letters if origin(letter.name)[1] < newest[origin(letter.name)[0]]]


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
