"""Export to Parquet: one file for each table and day, readable by DuckDB, pandas, Spark and ClickHouse itself."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from faasight_store import migrate
from faasight_store.connection import Store
from faasight_store.dsn import EmbeddedDsn
from faasight_store.errors import StoreError

_TIMEOUT_S = 3600.0  # for one day of one table
_CHUNK = 1 << 20
_END = b"PAR1"  # of every Parquet file: https://parquet.apache.org/docs/file-format/
# The column that a table's partitions are made of is its time.
_TIME = re.compile(r"\((\w+)\)")


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written."""

    table: str
    day: date
    path: Path
    rows: int


def tables() -> list[str]:
    """Return the names of the tables that can be exported: all that have a time."""
    return sorted(migrate.kept_tables())


def export(store: Store, names: Sequence[str], first: date, last: date, folder: Path) -> Iterator[Exported]:
    """Write each day of the tables, `last` included, to `folder/table/YYYY-MM-DD.parquet`, oldest first.

    Days without rows have no file. A file is there whole or not at all, and replaces one of an earlier export. Times
    are UTC in nanoseconds, ids are bytes, an Enum is its text. Raises StoreError.
    """
    unknown = sorted(set(names) - set(tables()))
    if unknown:
        raise StoreError(f"There is no table {unknown[0]!r} to export; there are {', '.join(tables())}.")
    for name in names:
        column = _time_column(store, name)
        for day, rows in _days(store, name, column, first, last):
            path = folder / name / f"{day}.parquet"
            _write(store, name, column, day, path)
            yield Exported(name, day, path, rows)


def _time_column(store: Store, table: str) -> str:
    rows = store.query(
        "SELECT partition_key FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        {"database": store.shape.data, "table": table},
    )
    found = _TIME.search(rows[0][0]) if rows else None
    if not found:
        raise StoreError(f"The database {store.dsn.database} has no table {table}: run `faasight migrate`.")
    return found[1]


def _days(store: Store, table: str, column: str, first: date, last: date) -> list[tuple[date, int]]:
    rows = store.query(
        f"""SELECT toDate({column}) AS day, count() FROM `{table}`
        WHERE {column} >= {{start:DateTime('UTC')}} AND {column} < {{end:DateTime('UTC')}} GROUP BY day ORDER BY day""",
        {"start": _midnight(first), "end": _midnight(last + timedelta(days=1))},
        timeout_s=_TIMEOUT_S,
    )
    return [(day, count) for day, count in rows]


def _write(store: Store, table: str, column: str, day: date, path: Path) -> None:
    """Write beside the file, then put it in its place."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    # A day is a number and dashes: nothing of the user's is pasted in. In the table's order: to sort takes memory.
    rows = (
        f"SELECT * FROM `{table}` WHERE {column} >= toDateTime('{day} 00:00:00', 'UTC')"
        f" AND {column} < toDateTime('{day + timedelta(days=1)} 00:00:00', 'UTC')"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(store.dsn, EmbeddedDsn):
            target = str(part.absolute()).replace("\\", "\\\\").replace("'", "\\'")
            store.command(f"INSERT INTO FUNCTION file('{target}', 'Parquet') {rows}")
        else:
            with part.open("wb") as file, store.stream(rows, "Parquet", timeout_s=_TIMEOUT_S) as source:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
        with part.open("rb+") as file:
            # A server that fails in mid-stream has answered 200 by then, and puts its words behind half of the rows.
            file.seek(max(0, part.stat().st_size - len(_END)))
            if file.read() != _END:
                raise StoreError(f"ClickHouse broke off {table} of {day}; no file was written. Try again.")
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
