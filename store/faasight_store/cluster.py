"""The schema on a cluster: each statement of a migration as it runs on every node, and the Distributed tables in front.

    faasight_data (on every node)                                faasight (on every node)
    ReplicatedMergeTree tables, Null tables, views               Distributed tables of the same names

A journal segment goes to one shard, chosen by its token, through the Distributed table of its landing table, and that
shard decodes and stores it as one server does. So a token means on a cluster what it means on one server. (A view that
wrote into Distributed tables would send the same token for different rows, and two views with one target lose some.)
"""

import re
import zlib
from collections.abc import Iterator, Sequence

from faasight_store.landing import LANDINGS
from faasight_store.shape import Shape

# By shard and name; what is in braces are ClickHouse's own macros, of the server's configuration.
_KEEPER_PATH = "/clickhouse/tables/{shard}/{database}/{table}"
_REPLICA = "{replica}"
# As long as on one server; the time is longer than any journal waits. (By default the log forgets after an hour.)
_WINDOW = re.compile(r"(?<!\w)non_replicated_deduplication_window = (\d+)")
_WINDOW_S = 7 * 86400
# Where a node comes later, `durability` asks one that has it already.
_SYNCED = "fsync_after_insert = 1, fsync_part_directory = 1"

_CREATE = re.compile(r"CREATE (TABLE|MATERIALIZED VIEW) IF NOT EXISTS (\w+)")
_ALTER = re.compile(r"ALTER TABLE (\w+)")

# Where rows go that are inserted through Distributed tables; all others come from views, on the shard of their segment.
# State that is read back at once, or written as a whole, has one place; the parts of an hour's settling stay together.
_ONE_PLACE = "0"
_BY_HOUR = "cityHash64(hour)"
_BY_MINUTE = "cityHash64(minute)"
_SHARDING = {
    "schema_migrations": _ONE_PLACE,
    "dropped_partitions": _ONE_PLACE,
    "ingest_stats": "cityHash64(collector)",  # a report that is told again must be the same block
    "alert_changes": _ONE_PLACE,
    "alert_deliveries": _ONE_PLACE,
    "alert_leases": _ONE_PLACE,
    "invocation_slots": _BY_HOUR,
    "invocation_hours": _BY_HOUR,
    "fleet_slots": _BY_HOUR,
    "fleet_hours": _BY_HOUR,
    "invocation_days": _BY_HOUR,
    "settled_days": _BY_HOUR,
    "edge_days": _BY_HOUR,
    "settled_edge_days": _BY_HOUR,
    "error_slots": _BY_HOUR,
    "error_hours": _BY_HOUR,
    "usage_hours": _BY_HOUR,
    "settled_hours": _BY_HOUR,
    "settled_invocations": _BY_MINUTE,
    "settled_minutes": _BY_MINUTE,
}


def replicated(engine: str) -> str:
    """Return the replicated engine for one such as `MergeTree` or `ReplacingMergeTree(version)`."""
    name, _, arguments = engine.partition("(")
    more = f", {arguments}" if arguments else ")"
    return f"Replicated{name}('{_KEEPER_PATH}', '{_REPLICA}'{more}"


def names(statements: Sequence[str]) -> frozenset[str]:
    """Return the names of all tables and views that the statements make."""
    return frozenset(found[2] for found in map(_CREATE.match, statements) if found)


def databases(shape: Shape) -> Iterator[str]:
    """Yield what makes the two databases on every node."""
    for name in (shape.data, shape.database):
        yield f"CREATE DATABASE IF NOT EXISTS `{name}`{shape.on_cluster}"


def spread(statement: str, known: frozenset[str], shape: Shape) -> Iterator[str]:
    """Yield a migration's statement as it runs on every node, and the Distributed table for a table that it makes."""
    data = f"`{shape.data}`"
    qualified = re.sub(rf"\b(FROM|TO) ({'|'.join(sorted(known))})\b", rf"\1 {data}.\2", statement)
    found = _CREATE.match(qualified)
    if not found:
        yield _ALTER.sub(rf"ALTER TABLE {data}.\1{shape.on_cluster}", qualified, count=1)
        return
    kind, name = found[1], found[2]
    rest = re.sub(r"^(\s+)AS (\w+)(\s+ENGINE)", rf"\1AS {data}.\2\3", qualified[found.end() :])
    rest = _WINDOW.sub(
        r"non_replicated_deduplication_window = \1, replicated_deduplication_window = \1,"
        rf" replicated_deduplication_window_seconds = {_WINDOW_S}, {_SYNCED}",
        rest,
    )
    yield f"CREATE {kind} IF NOT EXISTS {data}.{name}{shape.on_cluster}{rest}"
    if kind == "TABLE" and _is_asked(name, rest):
        yield (
            f"CREATE TABLE IF NOT EXISTS `{shape.database}`.{name}{shape.on_cluster} AS {data}.{name}"
            f" ENGINE = Distributed('{shape.cluster}', '{shape.data}', '{name}', {_SHARDING.get(name, 'rand()')})"
        )


def shard_of(token: str, shards: int) -> int:
    """Return the number, from 1, of the shard that a segment goes to: the same for every collector and every try."""
    return zlib.crc32(token.encode()) % shards + 1


def _is_asked(name: str, rest: str) -> bool:
    """Tell whether clients read the table or insert into it; what runs between views stays on its node."""
    return "ENGINE = Null" not in rest or name in {landing.table for landing in LANDINGS.values()}
