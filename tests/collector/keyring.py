"""Token files for tests."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faasight_collector.access import tokens
from faasight_collector.access.tokens import Token


class Keyring:
    """A token file, and the tokens that stand in it by their digests."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tokens: dict[str, Token] = {}
        self._write()

    def add(self, name: str, **more: Any) -> str:
        """Make a token, and return it."""
        secret = tokens.mint()
        digest = tokens.digest(secret.encode())
        self._tokens[name] = Token(name=name, digest=digest, created=datetime.now(UTC), **more)
        self._write()
        return secret

    def drop(self, name: str) -> None:
        """Revoke a token."""
        del self._tokens[name]
        self._write()

    def _write(self) -> None:
        tokens.write(self.path, tuple(self._tokens.values()))


def bearer(secret: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"authorization": f"Bearer {secret}"}
