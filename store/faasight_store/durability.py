"""On a server, what an insert was answered for is on its disk.

ClickHouse leaves new parts in the system's cache for some seconds: a power cut of its machine would lose inserts that
it has confirmed, and a collector on another machine would not know. So the tables of a server sync each insert: 92
fdatasyncs for a segment of traces, and no more CPU that could be measured. An embedded engine does without: its
collector ends with it, and ships on start what it shipped in the last minutes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from faasight_store.shape import Shape

_LACKING = """SELECT name FROM system.tables
WHERE database = {database:String} AND engine LIKE '%MergeTree' AND engine_full NOT LIKE '%fsync_after_insert = 1%'
ORDER BY name"""


class Target(Protocol):
    """What this needs of a store."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[tuple[Any, ...]]:
        """Run a read."""

    def command(self, sql: str) -> None:
        """Run a statement."""


def write_through(target: Target, shape: Shape) -> None:
    """Let every table sync what is inserted, wherever that is not set yet. Raises StoreError."""
    for (name,) in target.query(_LACKING, {"database": shape.data}):
        target.command(
            f"ALTER TABLE {shape.table(name)} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1"
        )
