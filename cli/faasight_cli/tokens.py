"""`faasight tokens create|list|revoke`: who may send telemetry; running collectors follow within a second."""

import os
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

from faasight_collector.access import tokens, usage
from faasight_collector.access.tokens import Token

from faasight_cli import services, settings
from faasight_cli.console import Console
from faasight_cli.errors import CommandError
from faasight_cli.settings import Settings

_MIB = 1024 * 1024


def create(chosen: Namespace) -> int:
    """Make a token; it stands alone on stdout, and nowhere else ever again."""
    own = settings.load(os.environ, chosen.overrides)
    path, secret = _file(own), tokens.mint()
    made = Token(
        name=tokens.check_name(chosen.name),
        digest=tokens.digest(secret.encode()),
        created=_now(),
        expires=_now() + chosen.expires if chosen.expires else None,
        use=chosen.use,
        requests_per_s=chosen.requests_per_s,
        bytes_per_s=None if chosen.mb_per_s is None else chosen.mb_per_s * _MIB,
    )
    with tokens.edited(path) as kept:
        if any(token.name == made.name for token in kept):
            raise CommandError(
                f"there is a token {made.name!r} in {path} already; take another name, such as {made.name}-2,"
                f" or revoke it: faasight tokens revoke {made.name}"
            )
        kept.append(made)
    Console().say(secret)
    until = f"valid until {_shown(made.expires)}" if made.expires else "valid until revoked"
    sys.stderr.write(f"token {made.name!r}, {until}; this is the only time that it is shown\n")
    return 0


def revoke(chosen: Namespace) -> int:
    """Take a token away."""
    path = _file(settings.load(os.environ, chosen.overrides))
    with tokens.edited(path) as kept:
        rest = [token for token in kept if token.name != chosen.name]
        if len(rest) == len(kept):
            raise CommandError(f"there is no token {chosen.name!r} in {path}; `faasight tokens list` shows them")
        kept[:] = rest
    Console().say(f"revoked {chosen.name}")
    return 0


def show(chosen: Namespace) -> int:
    """List the tokens: what they are for, until when, and when a collector of this machine last saw each."""
    own = settings.load(os.environ, chosen.overrides)
    rows = [("NAME", "FOR", "CREATED", "EXPIRES", "LAST USED", "LIMITS")]
    journal = services.journal_dir(own)
    rows += [_row(token, journal) for token in tokens.read(_file(own))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    console = Console()
    for row in rows:
        console.say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _file(own: Settings) -> Path:
    if own.tokens is None:
        raise CommandError(
            "say in which file tokens are kept: export FAASIGHT_TOKENS=faasight-tokens.json, or give --tokens FILE"
        )
    return own.tokens


def _row(token: Token, journal: Path) -> tuple[str, str, str, str, str, str]:
    expires = _shown(token.expires) if token.expires else "never"
    if token.expired(_now()):
        expires += " (expired)"
    used = usage.last_used(journal, token.name, token.digest)
    limits = []
    if token.requests_per_s is not None:
        limits.append(f"{token.requests_per_s:g} requests/s")
    if token.bytes_per_s is not None:
        limits.append(f"{token.bytes_per_s / _MIB:g} MB/s")
    return token.name, token.use, _shown(token.created), expires, _shown(used) if used else "-", ", ".join(limits)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _now() -> datetime:
    return datetime.fromtimestamp(int(time.time()), UTC)
