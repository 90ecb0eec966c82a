"""Events of Lambda: a sample of each trigger, and what to put into them that nobody should."""

from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[1] / "instrumentation" / "events"
SAMPLES = {path.stem: path.read_text() for path in sorted(EVENTS.glob("*.json"))}


class Hostile(dict[str, Any]):
    """A dictionary whose every answer is an exception."""

    def get(self, *_: Any) -> Any:
        """Fail."""
        raise RuntimeError("no")

    __getitem__ = __contains__ = __iter__ = __len__ = get  # type: ignore[assignment]  # that is the point


def circular() -> dict[str, Any]:
    event: dict[str, Any] = {}
    event["Records"] = [event]
    event["requestContext"] = event["detail"] = event["Execution"] = event["request"] = event
    return event


JUNK: list[Any] = [
    None, True, False, 0, -1, 2**400, float("nan"), float("inf"), float("-inf"), 1e308,
    "", "x" * 5_000, "1" * 5_000, "\ud800", "\x00", b"\xff", range(3), len, object(),
    [], [[]], [None], {}, {"": None}, {7: 7}, (), Hostile(), circular(),
]  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Every place in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document
