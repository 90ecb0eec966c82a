"""What the ingest benchmark measures of ours: store and collector in one process.

_ingest_ours.py DIRECTORY TABLE [STORE]    prints its addresses; each line of its input asks for the rows of TABLE,
"grow ROWS" for as many after copying those that are there, and "floor" at the end for the CPU-seconds that the engine
alone needs to insert what was stored
"""

import sys
import time
from pathlib import Path

from faasight_collector import Collector, Settings
from faasight_store import Store

_BLOCK_ROWS = 100_000  # as many as a segment of the largest size has
_OWN = ("schema_migrations", "ingest_stats")  # not made of what was sent
_GROWN = {  # tables with a row for each span, line, point, trace or invocation; sums stay as they are
    "spans": "",
    "logs": "",
    "metric_points": "",
    "trace_index": "REPLACE (toFixedString(unhex(hex(sipHash128(trace_id, {step}))), 16) AS trace_id)",
    "invocation_facts": "REPLACE (concat(request_id, ':{step}') AS request_id)",
}


def floor_s(store: Store, folder: Path) -> float:
    """Return the CPU-seconds to insert the stored rows once more: Native format, the same tables, no views."""
    tables = store.query(
        "SELECT table, groupArray(name) FROM (SELECT table, name FROM system.columns WHERE database = currentDatabase()"
        " AND default_kind = '' ORDER BY table, position) WHERE table IN (SELECT name FROM system.tables"
        " WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND total_rows > 0) GROUP BY table"
    )
    store.command("CREATE DATABASE IF NOT EXISTS floor")
    used = 0.0
    for name, columns in tables:
        if name in _OWN:
            continue
        names = ", ".join(f"`{column}`" for column in columns)
        file = folder / f"{name}.native"
        store.command(f"SELECT {names} FROM {name} INTO OUTFILE '{file}' FORMAT Native")
        store.command(f"CREATE TABLE floor.{name} AS {name}")
        began = time.process_time()
        store.command(
            f"INSERT INTO floor.{name} ({names}) FROM INFILE '{file}'"
            f" SETTINGS min_insert_block_size_rows = {_BLOCK_ROWS}, min_insert_block_size_bytes = 0,"
            " optimize_on_insert = 0, max_insert_threads = 1, insert_deduplicate = 0 FORMAT Native"
        )
        used += time.process_time() - began
        file.unlink()
    return used


def grow(store: Store, table: str, rows: int) -> None:
    """Copy what is stored, with all that is kept of it by trace and invocation, until a table has so many rows."""

    def count(name: str) -> int:
        return int(store.query(f"SELECT count() FROM {name}")[0][0])

    times = rows / max(count(table), 1)
    for name, other in _GROWN.items():
        wanted = round(count(name) * times)
        step = 0
        while missing := wanted - (there := count(name)):
            step += 1
            store.command(
                f"INSERT INTO {name} SELECT * {other.format(step=step)} FROM {name} LIMIT {min(there, missing)}"
                " SETTINGS insert_deduplicate = 0, optimize_on_insert = 0, materialize_skip_indexes_on_insert = 0"
            )
        store.command(f"OPTIMIZE TABLE {name} FINAL")  # or merges of the copies would count as what is measured


def main() -> None:
    """Run until the standard input ends."""
    directory, table = Path(sys.argv[1]), sys.argv[2]
    dsn = sys.argv[3] if sys.argv[3:] else f"chdb://{directory / 'data'}"
    with Store.open(dsn) as store:
        store.migrate()
        of_server = not dsn.startswith("chdb")
        settings = Settings(journal_dir=directory / "journal", http_port=0, grpc_port=0, store_is_shared=of_server)
        collector = Collector(settings, store)
        collector.start()
        print(f"ready {collector.http_address} {collector.grpc_address}", flush=True)
        for line in sys.stdin:
            if line.startswith("floor"):
                collector.stop()
                print(f"floor {floor_s(store, directory)}", flush=True)
                break
            if line.startswith("grow"):
                grow(store, table, int(line.split()[1]))
            print(f"rows {store.query(f'SELECT count() FROM {table}')[0][0]}", flush=True)
        collector.stop()


if __name__ == "__main__":
    main()
