"""Hands dead letters in again: as a small journal of their own, which a running collector adopts, or the next one."""

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from faasight_collector.adoption import HANDED
from faasight_collector.dead_letters import Letter
from faasight_collector.segments import digest_of, encode_header
from faasight_collector.writer import sync_directory

_RETRIED = re.compile(r"retry(\d+)-(.+)-0")


def hand_over(letters: Sequence[Letter], home: Path) -> Path:
    """Make a journal under `home` with one segment for each letter, delete the letters, and return its folder.

    A segment's id, its deduplication token, follows from the letter's name: if this breaks off before the letters are
    deleted, and is done again, they are stored once all the same. Raises OSError.
    """
    name = f"{HANDED}{secrets.token_hex(8)}"
    made = home / f".{name}"  # under this name nobody adopts it
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
    whole = made.rename(home / name)
    sync_directory(home)
    for letter in letters:
        letter.delete()
    return whole


def segment_id(name: str) -> str:
    """Return the id under which a letter is tried again; a letter of that name is the same one, refused again."""
    again = _RETRIED.fullmatch(name)
    return f"retry{int(again[1]) + 1}-{again[2]}" if again else f"retry1-{name}"


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
