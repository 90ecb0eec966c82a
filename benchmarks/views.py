"""What the views for patterns, attribute keys and versions cost a row, beside the whole insert of the same rows.

python benchmarks/views.py

Each view's SELECT runs over rows in memory; the planning of a view (a few ms an insert, whatever its size) is in the
insert alone.
"""

import json
import resource
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import otlp
from faasight_store import Store
from faasight_store.migrate import macro

ROWS, INSERTS, REPEATS = 20_000, 5, 5
GOAL = 0.2  # of the insert
ATTRIBUTES = {
    "http.request.method": "GET",
    "http.route": "/orders/{id}",
    "http.response.status_code": 200,
    "server.address": "api.shop",
    "peer.service": "stock",
    "url.full": "http://x/y",
    "user.tier": "gold",
    "retry": 0,
}
VIEWS = {
    "spans_to_attribute_keys": "spans",
    "logs_to_attribute_keys": "logs",
    "logs_to_log_patterns": "logs",
    "facts_to_function_hours": "invocation_facts",
}


def cpu_s() -> float:
    """Return the CPU time of this process, the engine's threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def least(work: Callable[[], object]) -> float:
    """Return the least CPU-s of some runs, per million of the rows that were sent."""
    took = []
    for _ in range(REPEATS):
        began = cpu_s()
        work()
        took.append(cpu_s() - began)
    return min(took) * 1e6 / (ROWS * INSERTS)


def segments() -> dict[str, bytes]:
    """Return 20,000 spans of 8 attributes, of 50 in a request, and 20,000 log lines."""
    now = time.time_ns()
    runs = [otlp.Run(now - i * 1000) for i in range(ROWS // 50)]
    calls = [otlp.span("call", now - i, 1, 3, attributes={**ATTRIBUTES, "n": i}) for i in range(49)]
    lines = [
        {
            "kind": "log", "ts": now - i, "function": f"f{i % 20}", "level": "INFO", "request_id": secrets.token_hex(8),
            "message": f"order {i} accepted for user {secrets.token_hex(8)} in {i % 977} ms",
            "attributes": {"path": "/x", "user": "u", "n": str(i % 5)},
        }
        for i in range(ROWS)
    ]  # fmt: skip
    return {"traces": otlp.segment(*(run.traces(*calls) for run in runs)), "records": otlp.records(*lines)}


def inserted(store: Store) -> dict[str, float]:
    """Store all rows and return the CPU-s per million of each signal, planning included."""
    found = {}
    for signal, segment in segments().items():
        took = []
        for _ in range(INSERTS):
            began = cpu_s()
            store.land(signal, segment, secrets.token_hex(8))
            took.append(cpu_s() - began)
        found[signal] = statistics.median(took) * 1e6 / ROWS
    return found


def main() -> None:
    """Measure, print a line for each view, then the JSON line of the dearest signal."""
    with tempfile.TemporaryDirectory() as folder, Store.open(f"chdb://{folder}") as store:
        store.migrate()
        whole = inserted(store)
        added = {"traces": 0.0, "records": 0.0}
        for view, table in VIEWS.items():
            store.command(f"CREATE TABLE IF NOT EXISTS m_{table} ENGINE = Memory AS SELECT * FROM {table}")
            if table == "logs":
                store.command("ALTER TABLE m_logs ADD COLUMN IF NOT EXISTS pattern UInt64")
            ddl = "SELECT as_select FROM system.tables WHERE name = {v:String} AND database = currentDatabase()"
            select = store.query(ddl, {"v": view})[0][0]
            select = select.replace(f"FROM {store.dsn.database}.{table}", f"FROM m_{table}")
            cost = least(lambda query=select: store.query(f"SELECT count() FROM ({query})", timeout_s=60))
            signal = "records" if table == "logs" else "traces"
            added[signal] += cost
            print(f"{view:26} {cost:5.2f} CPU-s a million rows of {signal}")
        pattern = f"SELECT max(cityHash64({macro('log_pattern', 'message')})) FROM m_logs"
        cost = least(lambda: store.query(pattern, timeout_s=60))
        added["records"] += cost
        print(f"{'pattern of a line':26} {cost:5.2f} CPU-s a million rows of records")
    for signal, peer in whole.items():
        print(f"all of an insert of {signal}: {peer:.2f} CPU-s a million, of which these views {added[signal]:.2f}")
    worst = max(whole, key=lambda signal: added[signal] / whole[signal])
    ratio = added[worst] / whole[worst]
    print(
        json.dumps(
            {
                "name": f"views for patterns, keys and versions, {worst}", "ours": round(added[worst], 3),
                "peer": round(whole[worst], 3), "unit": "CPU-s per million rows; peer: the whole insert",
                "ratio": round(ratio, 3), "goal": GOAL, "ok": ratio <= GOAL,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
