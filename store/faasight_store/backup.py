"""Back-up and restore by ClickHouse's own BACKUP and RESTORE: parts are copied as they are, not read.

A back-up holds the whole database: rows, views, and the record of its migrations. It does not hold the collector's
journal, nor which tokens the engine has seen: a segment that was shipped before the back-up and comes again after the
restore would be stored twice, so the journal's shipped segments must not outlive a restore (docs/lifetime.md).
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faasight_store import migrate, rollup
from faasight_store.connection import Store
from faasight_store.errors import StoreError
from faasight_store.shape import SUFFIX, Shape

POLL_S = 0.2
_S3_ATTEMPTS = 6
_UNKNOWN_POLLS = 50
_CHECK_TIMEOUT_S = 24 * 3600.0
_CANCEL_S = 30.0
_DISK = re.compile(r"disk:(\w+)/(.+)")
_NAME = re.compile(r"[A-Za-z_]\w{0,63}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a back-up lies: a folder, `disk:NAME/PATH` of the server, or an http(s) address of S3 and its like.

    A folder is one of the machine that the engine runs on. Of a server it must lie in its `backups.allowed_path`.
    """

    address: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    def sql(self) -> str:
        """Return it as BACKUP and RESTORE name it."""
        disk = _DISK.fullmatch(self.address)
        if disk:
            return f"Disk({_quoted(disk[1])}, {_quoted(disk[2])})"
        if re.match(r"https?://", self.address):
            keys = (self.access_key, self.secret_key) if self.access_key else ()
            return f"S3({', '.join(map(_quoted, (self.address, *keys)))})"
        return f"File({_quoted(str(Path(self.address).absolute()))})"


@dataclass(frozen=True, slots=True)
class Copied:
    """What was backed up or restored."""

    tables: int
    files: int
    bytes: int
    seconds: float


def backup(store: Store, place: Place, *, sleep: Callable[[float], None] = time.sleep) -> Copied:
    """Copy the database to a place where nothing is yet. Raises StoreError; what was begun is removed by the engine."""
    databases = ", ".join(f"DATABASE `{name}`" for name in dict.fromkeys((store.shape.database, store.shape.data)))
    return _run(store, f"BACKUP {databases}{store.shape.on_cluster} TO {place.sql()}", sleep)


def restore(
    store: Store, place: Place, *, source: str = "", cluster: str = "", sleep: Callable[[float], None] = time.sleep
) -> Copied:
    """Bring a back-up into the store's database, which must be empty, and read every part to see that it is whole.

    `source` is the name of the database in the back-up, if it is another one. Raises StoreError; the database is empty
    again then, and if it is interrupted. A killed one leaves a mark: nobody uses what is there, and the next restore
    begins anew.
    """
    source = source or store.dsn.database
    if not _NAME.fullmatch(source):
        raise StoreError(f"{source!r} is no name of a database.")
    target = Shape(store.dsn.database, cluster)
    for name in dict.fromkeys((target.database, target.data)):
        found = _tables(store, name)
        if name == target.database and migrate.is_unfinished(store):
            _clear_away(store, target)
        elif found:
            raise StoreError(
                f"The database {name} has {len(found)} tables already, and a restore never overwrites: "
                "restore into an empty one (?database=NAME in FAASIGHT_STORE), or drop this one first."
            )
    pairs = [(source, target.database)]
    if cluster:
        pairs.append((source + SUFFIX, target.data))
    databases = ", ".join(f"DATABASE `{old}` AS `{new}`" for old, new in pairs)
    _mark(store)
    try:
        copied = _run(store, f"RESTORE {databases}{target.on_cluster} FROM {place.sql()}", sleep)
        store.forget_shape()
        if "schema_migrations" not in _tables(store, target.database):
            raise StoreError(f"This is no back-up of FaaSight's database {source}.")
        if store.shape != target:
            raise StoreError(f"This is a back-up of the cluster {store.shape.cluster}: say --cluster.")
        _check(store)
        migrate.check_versions(store)
        rollup.doubt(store)
        _unmark(store)
    except BaseException:  # an interrupted one, too
        _empty(store, target)
        raise
    return copied


def _run(store: Store, statement: str, sleep: Callable[[float], None]) -> Copied:
    """Run it in the background of the engine, however long it takes, and wait for its end."""
    run, began = f"faasight-{secrets.token_hex(8)}", time.monotonic()
    # By default it asks S3 a thousand times, which takes a day.
    store.command(f"{statement} SETTINGS id = '{run}', backup_restore_s3_retry_attempts = {_S3_ATTEMPTS} ASYNC")
    try:
        return _wait(store, run, began, sleep)
    except BaseException:
        _cancel(store, run)
        raise


def _wait(store: Store, run: str, began: float, sleep: Callable[[float], None]) -> Copied:
    unknown = 0
    while unknown < _UNKNOWN_POLLS:
        # A server may be one of several behind one address: the one that was asked knows.
        rows = store.query(
            "SELECT toString(status), error, num_files, total_size FROM system.backups WHERE id = {id:String}",
            {"id": run},
        )
        status, error, files, size = rows[0] if rows else ("", "", 0, 0)
        if status in ("BACKUP_CREATED", "RESTORED"):
            return Copied(len(_tables(store, store.shape.data)), files, size, time.monotonic() - began)
        if status.endswith(("FAILED", "CANCELLED")):
            raise StoreError(_told(error))
        unknown = 0 if rows else unknown + 1
        sleep(POLL_S)
    raise StoreError("ClickHouse no longer knows of it: it was restarted, or another server answers at this address.")


def _cancel(store: Store, run: str) -> None:
    """Stop what goes on in the engine's background, and wait until it has, some time at most."""
    deadline = time.monotonic() + _CANCEL_S
    while time.monotonic() < deadline:
        rows = store.query(
            "SELECT query_id FROM system.backups WHERE id = {id:String} AND status IN ('CREATING_BACKUP', 'RESTORING')",
            {"id": run},
        )
        if not rows:
            return
        store.command(f"KILL QUERY WHERE query_id = {_quoted(rows[0][0])} ASYNC")
        time.sleep(POLL_S)


def _mark(store: Store) -> None:
    store.command(f"CREATE TABLE `{store.dsn.database}`.`{migrate.UNFINISHED}` (none UInt8) ENGINE = TinyLog")


def _unmark(store: Store) -> None:
    store.command(f"DROP TABLE IF EXISTS `{store.dsn.database}`.`{migrate.UNFINISHED}` SYNC")


def _clear_away(store: Store, target: Shape) -> None:
    """Empty what a restore has left that was killed. Raises StoreError if it goes on in the engine."""
    going_on = "SELECT count() FROM system.backups WHERE status = 'RESTORING'"
    if store.query(going_on)[0][0]:
        raise StoreError(
            "A restore is still going on in this server, though nobody waits for it: try again when it is over."
        )
    _empty(store, target)


def _told(error: str) -> str:
    """Return the engine's words in one sentence, with what to type where that is known."""
    text = re.sub(r",?\s+(?:0\.|Stack trace)[ ,].*", "", error, flags=re.DOTALL)
    text = re.sub(r"^Code: \d+\. DB::Exception: |\s*\((?:version|official build)[^)]*\)+", "", text)
    hint = ""
    if "allowed_path" in text or "allowed_disk" in text:
        hint = " Name a folder or disk of the server that its configuration allows for back-ups (docs/lifetime.md)."
    return f"ClickHouse could not do it: {text.strip()[:600]}{hint}"


def _check(store: Store) -> None:
    """Read every part against its checksums; RESTORE itself compares sizes only."""
    for name in _tables(store, store.shape.data, "%MergeTree"):
        check = f"CHECK TABLE `{store.shape.data}`.`{name}` SETTINGS check_query_single_value_result = 0"
        with store.stream(check, "TSV", timeout_s=_CHECK_TIMEOUT_S) as answer:
            lines = answer.read().decode().splitlines()
        for line in lines:
            part, whole, wrong = (*line.split("\t"), "", "")[:3]
            if whole != "1":
                raise StoreError(f"The back-up is damaged: table {name}, part {part}: {wrong[:300]}")
        if store.shape.cluster:
            _read_everywhere(store, name)


def _read_everywhere(store: Store, name: str) -> None:
    """Read a table on all nodes, each block against its checksum: CHECK TABLE knows this node's parts alone."""
    table = f"clusterAllReplicas('{store.shape.cluster}', `{store.shape.data}`.`{name}`)"
    try:
        read = f"SELECT count() FROM {table} WHERE NOT ignore(*) SETTINGS skip_unavailable_shards = 0"
        with store.stream(read, "TSV", timeout_s=_CHECK_TIMEOUT_S) as answer:
            answer.read()
    except StoreError as error:
        raise StoreError(f"The table {name} cannot be read on all nodes: {error}") from error


def _empty(store: Store, target: Shape) -> None:
    """Drop what a restore that failed has made, its mark last; these databases were empty before."""
    for database in dict.fromkeys((target.database, target.data)):
        for name in _tables(store, database):
            store.command(f"DROP TABLE IF EXISTS `{database}`.`{name}`{target.on_cluster} SYNC")
    _unmark(store)
    store.forget_shape()


def _tables(store: Store, database: str, engine: str = "%") -> list[str]:
    rows = store.query(
        "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE {engine:String}"
        " AND name != {mark:String}",
        {"database": database, "engine": engine, "mark": migrate.UNFINISHED},
    )
    return [name for (name,) in rows]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
