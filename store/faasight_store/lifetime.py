"""How long telemetry stays: days per signal, and a budget of disk; whole partitions are dropped, oldest first.

Tables carry no TTL of the engine. A migration says `{{keep traces}}` where a TTL would stand, and `enforce` drops the
partitions that are over. Measured on 5 million rows in 36 daily partitions: to change a TTL rewrites the table's parts
(9 to 22 s), and one that was lengthened without that still drops at the old time; to drop a partition takes 0.1 s,
and a longer retention counts at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from faasight_store import migrate
from faasight_store.connection import Store

# Days. Facts and spans may come 30 days late (migrations/macros/clamped.sql).
DEFAULT_DAYS: Mapping[str, int] = {
    "traces": 31,
    "logs": 31,
    "metrics": 62,
    "invocations": 62,
    "rollups": 400,
    "alerts": 400,
}
# State, not telemetry: alerts would fire anew if their history went. It is small, too.
_NEVER_FOR_ROOM = frozenset({"alerts"})


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long each kind of data is kept, and how much disk all of it may take (0: as much as it needs)."""

    days: Mapping[str, int] = field(default_factory=lambda: DEFAULT_DAYS)
    budget_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Partition:
    """What a table holds of a day or month; `ends` is exclusive. On a cluster: of all shards, one replica each."""

    table: str
    keep: str
    id: str
    ends: datetime
    rows: int
    bytes: int
    block: int  # number of the newest insert, which no merge changes


@dataclass(frozen=True, slots=True)
class Dropped:
    """A partition that was dropped, and why: "retention" or "budget"."""

    at: datetime
    table: str
    partition: str
    rows: int
    bytes: int
    reason: str


def enforce(store: Store, lifetime: Lifetime, now: datetime) -> list[Dropped]:
    """Drop what is older than its days, then the oldest days until the budget is kept; return what was dropped.

    Never drops a day or month that is not over. Safe to call from several processes at once: each looks again after
    every day that it dropped, so that two of them drop no more than one.
    """
    found = partitions(store)
    old = [p for p in found if p.keep in lifetime.days and p.ends <= now - timedelta(days=lifetime.days[p.keep])]
    dropped = [_drop(store, partition, "retention", now) for partition in old]
    if lifetime.budget_bytes:
        dropped += _make_room(store, lifetime.budget_bytes, now)
    return dropped


def partitions(store: Store) -> list[Partition]:
    """Return everything that is stored, oldest first."""
    kept = migrate.kept_tables()
    rows = store.query(
        f"""SELECT parts.table, parts.partition_id, sum(parts.rows), sum(parts.bytes_on_disk),
               max(parts.max_block_number)
        FROM {store.shape.everywhere("system.parts")} AS parts
        WHERE parts.active AND parts.database = {{database:String}} AND parts.table IN {{tables:Array(String)}}
        GROUP BY parts.table, parts.partition_id
        HAVING sum(parts.rows) > 0""",  # a drop leaves empty parts for a moment
        {"database": store.shape.data, "tables": list(kept)},
    )
    found = [
        Partition(table, kept[table].keep, day, kept[table].end(day), n, size, block)
        for table, day, n, size, block in rows
    ]
    return sorted(found, key=lambda partition: (partition.ends, partition.table))


def used_bytes(store: Store) -> int:
    """Return what the store takes on disk: on a cluster, one replica of each shard."""
    sql = f"""SELECT sum(bytes_on_disk) FROM {store.shape.everywhere("system.parts")} AS parts
        WHERE active AND database = {{database:String}}"""
    return int(store.query(sql, {"database": store.shape.data})[0][0])


def history(store: Store, limit: int = 100) -> list[Dropped]:
    """Return what was dropped, newest first."""
    rows = store.query(
        """SELECT at, table, partition, rows, bytes, toString(reason) FROM dropped_partitions
        ORDER BY at DESC, table, partition LIMIT {limit:UInt32}""",
        {"limit": limit},
    )
    return [Dropped(at.replace(tzinfo=UTC), *rest) for at, *rest in rows]


def _make_room(store: Store, budget: int, now: datetime) -> Iterator[Dropped]:
    """Drop one day of all tables after the other."""
    tried = datetime.min.replace(tzinfo=UTC)
    while used_bytes(store) > budget:
        over = [p for p in partitions(store) if tried < p.ends <= now and p.keep not in _NEVER_FOR_ROOM]
        if not over:
            return
        tried = over[0].ends
        for partition in (p for p in over if p.ends == tried):
            yield _drop(store, partition, "budget", now)


def _drop(store: Store, partition: Partition, reason: str, now: datetime) -> Dropped:
    # The token: two that drop the same partition at once leave one row, even if it was merged meanwhile.
    token = f"{partition.table}/{partition.id}/{partition.block}"
    store.command(
        f"""INSERT INTO dropped_partitions (at, table, partition, ends, rows, bytes, reason)
        SETTINGS insert_deduplication_token = '{token}', insert_deduplicate = 1
        SELECT {{at:DateTime64(3, 'UTC')}}, {{table:String}}, {{partition:String}}, {{ends:DateTime('UTC')}},
               {{rows:UInt64}}, {{bytes:UInt64}}, {{reason:String}}""",
        {
            "at": now,
            "table": partition.table,
            "partition": partition.id,
            "ends": partition.ends,
            "rows": partition.rows,
            "bytes": partition.bytes,
            "reason": reason,
        },
    )
    store.command(f"ALTER TABLE {store.shape.table(partition.table)} DROP PARTITION ID '{partition.id}'")
    return Dropped(now, partition.table, partition.id, partition.rows, partition.bytes, reason)
