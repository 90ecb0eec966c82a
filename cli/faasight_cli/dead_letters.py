"""`faasight dead-letters`: what the store did not take, looked at, handed in again or deleted while collectors run."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from faasight_collector import dead_letters as kept
from faasight_collector.adoption import WORKER
from faasight_collector.dead_letters import Letter
from faasight_collector.handover import hand_over, superseded
from faasight_collector.preview import preview, without_secrets

from faasight_cli import services, settings
from faasight_cli.console import Console
from faasight_cli.errors import CommandError

_REASON = 100  # characters of a reason in the list


def show_list(chosen: Namespace) -> int:
    """Print all, oldest first."""
    console = Console()
    letters = _letters(_home(chosen))
    for letter in letters:
        console.say(_json(letter) if chosen.json else _line(letter))
    if not letters and not chosen.json:
        console.say("there are no dead letters")
    return 0


def show(chosen: Namespace) -> int:
    """Print one, or write its bytes."""
    (letter,) = _chosen(_letters(_home(chosen)), [chosen.name])
    payload = letter.path.read_bytes()
    if chosen.raw:
        sys.stdout.buffer.write(payload)
        sys.stdout.buffer.flush()
        return 0
    console = Console()
    console.say(f"{letter.name}: {letter.signal}, {letter.bytes} bytes, {letter.time}")
    console.say(without_secrets(letter.reason))
    console.say()
    console.say(preview(letter.signal, payload))
    return 0


def retry(chosen: Namespace) -> int:
    """Hand letters in again; 1 if one of them cannot be."""
    home, console = _home(chosen), Console()
    _clear_away(home)
    letters = _which(chosen, home)
    whole = [letter for letter in letters if letter.whole]
    if whole:
        hand_over(whole, home)
        console.say(f"handed in again: {len(whole)}; the collector takes them within seconds, or when it next starts")
    for letter in letters:
        if letter not in whole:
            console.say(f"not handed in: {letter.name} ({_short(letter.reason)}): its bytes are not a request")
    return 0 if len(whole) == len(letters) else 1


def delete(chosen: Namespace) -> int:
    """Delete letters."""
    home = _home(chosen)
    _clear_away(home)
    letters = _which(chosen, home)
    for letter in letters:
        letter.delete()
    Console().say(f"deleted: {len(letters)}")
    return 0


def _home(chosen: Namespace) -> Path:
    home = services.journal_dir(settings.load(os.environ, chosen.overrides))
    if not home.is_dir():
        raise CommandError(
            f"There is no journal at {home}; set FAASIGHT_JOURNAL, or FAASIGHT_STORE, as the collector has it."
        )
    return home


def _letters(home: Path) -> list[Letter]:
    """Return the letters of a collector, or of all its workers."""
    letters = _all_letters(home)
    old = superseded(letters)
    return [letter for letter in letters if letter not in old]


def _clear_away(home: Path) -> None:
    """Delete what a killed retry left, before the newer of both goes."""
    for letter in superseded(_all_letters(home)):
        letter.delete()


def _all_letters(home: Path) -> list[Letter]:
    folders = [home, *sorted(home.glob(f"{WORKER}*"))]
    return sorted(
        (letter for folder in folders for letter in kept.read(folder / kept.FOLDER)), key=lambda one: one.time
    )


def _which(chosen: Namespace, home: Path) -> list[Letter]:
    letters = _letters(home)
    return letters if chosen.all else _chosen(letters, chosen.names)


def _chosen(letters: Sequence[Letter], names: Sequence[str]) -> list[Letter]:
    by_name = {letter.name: letter for letter in letters}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise CommandError(
            f"There is no dead letter {', '.join(unknown)}; `faasight dead-letters list` tells their names."
        )
    return [by_name[name] for name in dict.fromkeys(names)]


def _line(letter: Letter) -> str:
    return f"{letter.name}  {letter.signal}  {letter.bytes} bytes  {letter.time}  {_short(letter.reason)}"


def _json(letter: Letter) -> str:
    told = {name: getattr(letter, name) for name in ("name", "signal", "bytes", "time")}
    return json.dumps(told | {"reason": without_secrets(letter.reason), "whole": letter.whole})


def _short(reason: str) -> str:
    text = " ".join(without_secrets(reason).split())
    return text if len(text) <= _REASON else f"{text[:_REASON]}..."
