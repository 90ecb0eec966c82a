"""Ingest tokens as a file keeps them: names, dates, limits and digests, never the tokens themselves.

A token is 256 random bits, so its plain SHA-256 is enough at rest: nobody guesses it, and a slow password hash would
only slow down each request. The file is JSON, replaced as a whole, and read again by collectors when it changes.
"""

import hashlib
import math
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from faasight_collector.errors import TokenFileError

INGEST, METRICS = "ingest", "metrics"  # what a token is for: sending telemetry, or reading /metrics
USES = (INGEST, METRICS)
PREFIX = "faasight_"  # lets scanners for leaked secrets know what they found
_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class _OddError(ValueError):
    """What is wrong with a file, in words that quote nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token. Limits are None where the collector's default holds, 0 for none."""

    name: str
    digest: bytes  # SHA-256 of the token
    created: datetime
    expires: datetime | None = None
    use: str = INGEST
    requests_per_s: float | None = None
    bytes_per_s: float | None = None

    def expired(self, now: datetime) -> bool:
        """Tell whether it has ceased to be valid."""
        return self.expires is not None and self.expires <= now


def digest(token: bytes) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token).digest()


def mint() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(32)


def check_name(name: str) -> str:
    """Return `name` if a token may be called so. Raises TokenFileError."""
    if not _NAME.match(name):
        raise TokenFileError(f"{name!r} is no name for a token: use up to 64 letters, digits, dots, dashes")
    return name


def read(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file. Raises TokenFileError, whose text quotes nothing of the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TokenFileError(
            f"There is no token file {path}. Make one with: FAASIGHT_TOKENS={path} faasight tokens create NAME"
        ) from None
    except OSError as error:
        raise TokenFileError(f"The token file {path} cannot be read: {error.strerror}.") from error
    try:
        return _parsed(orjson.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        what = str(error) if isinstance(error, _OddError) else "it is not as `faasight tokens` writes it"
        raise TokenFileError(f"The token file {path} cannot be understood: {what}.") from None


def _parsed(document: Mapping[str, Any]) -> tuple[Token, ...]:
    if document["version"] != _VERSION:
        raise _OddError("a newer FaaSight has written it")
    tokens = tuple(map(_token, document["tokens"]))
    if len({token.name for token in tokens}) < len(tokens):
        raise _OddError("two tokens have the same name")
    return tokens


def _token(row: Mapping[str, Any]) -> Token:
    if not _NAME.match(row["name"]) or not _DIGEST.match(row["sha256"]) or row.get("use", INGEST) not in USES:
        raise TypeError
    return Token(
        name=row["name"],
        digest=bytes.fromhex(row["sha256"]),
        created=_moment(row["created"]),
        expires=_moment(row["expires"]) if row.get("expires") else None,
        use=row.get("use", INGEST),
        requests_per_s=_limit(row.get("requests_per_s")),
        bytes_per_s=_limit(row.get("bytes_per_s")),
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _limit(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TypeError
    return float(value)


def write(path: Path, tokens: tuple[Token, ...]) -> None:
    """Replace a token file as a whole; a new one is for its owner alone. Raises TokenFileError."""
    data = orjson.dumps({"version": _VERSION, "tokens": [_row(token) for token in tokens]}, option=orjson.OPT_INDENT_2)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with open(handle, "wb") as file:  # noqa: PTH123  # a handle, not a path
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                _like(path, temporary)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TokenFileError(f"The token file {path} cannot be written: {error.strerror}.") from error


def _like(path: Path, temporary: str) -> None:
    """Give the new file the owner and mode of the old one: the collector may run as somebody else than who writes."""
    old = path.stat()
    Path(temporary).chmod(old.st_mode & 0o777)
    if hasattr(os, "chown"):
        with suppress(PermissionError):
            os.chown(temporary, old.st_uid, old.st_gid)


def _row(token: Token) -> dict[str, object]:
    row = {
        "name": token.name,
        "sha256": token.digest.hex(),
        "created": token.created,
        "expires": token.expires,
        "use": token.use,
        "requests_per_s": token.requests_per_s,
        "bytes_per_s": token.bytes_per_s,
    }
    return {key: value for key, value in row.items() if value is not None}


@contextmanager
def edited(path: Path) -> Iterator[list[Token]]:
    """Give the tokens of a file (none if there is no file) to be changed, and write them back; one editor at a time.

    Raises TokenFileError.
    """
    with _locked(path.parent):
        tokens = list(read(path)) if path.exists() else []
        yield tokens
        write(path, tuple(tokens))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other editors out of a folder, which is made if need be; Windows has no such locks."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = -1 if sys.platform == "win32" else os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise TokenFileError(f"The folder {folder} cannot be opened or made: {error.strerror}.") from error
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
