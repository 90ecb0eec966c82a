"""When tokens were last used, kept in the journal's folder for `faasight tokens list`."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import orjson

from faasight_collector.access.guard import Grant

_NAME = "tokens-used.json"
_SHOWN = 12  # hex digits of a digest: enough to tell tokens of one name apart, one after the other


def _key(name: str, digest: bytes) -> str:
    return f"{name} {digest.hex()[:_SHOWN]}"


def save(folder: Path, grants: Iterable[Grant]) -> None:
    """Write down the last use of each token; what an earlier run knew is kept. Raises OSError."""
    used = _load(folder)
    used |= {_key(grant.token.name, grant.token.digest): grant.last_used for grant in grants if grant.last_used}
    temporary = folder / f"{_NAME}.new"
    temporary.write_bytes(orjson.dumps(used))
    temporary.replace(folder / _NAME)


def last_used(folder: Path, name: str, digest: bytes) -> datetime | None:
    """Return when any collector with a journal in `folder`, or in folders in it, last saw a token; None: never."""
    key = _key(name, digest)
    moments = [_load(path.parent).get(key, 0.0) for path in (folder / _NAME, *sorted(folder.glob(f"*/{_NAME}")))]
    latest = max(moments)
    return datetime.fromtimestamp(latest, UTC) if latest else None


def _load(folder: Path) -> dict[str, float]:
    with suppress(OSError, ValueError):
        found = orjson.loads((folder / _NAME).read_bytes())
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if isinstance(value, int | float)}
    return {}
