"""The memory that the collector needs at most, when it stands before a ClickHouse server.

The collector alone in a process, its store the engine's HTTP interface in another one; the goal is its peak resident
size after small requests over many connections, then bodies of nearly 20 MiB over many at once, then gRPC calls of
nearly 4 MiB, each over a connection of its own. It may refuse what is too much at once (503, UNAVAILABLE), and must
store what it took.

    python benchmarks/memory.py             # all, one after the other in one process
    python benchmarks/memory.py grpc        # the loads whose names hold this
"""

import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import _load  # beside this file
import _requests
import psutil
from _subject import line_of, peak_kib, process, until

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "tests" / "support" / "clickhouse_http.py"
GOAL_MIB = 300
LOADS = (  # spans a request, different requests, requests, connections
    ("http: 5 spans x 64 connections", 5, 2_000, 2_000, 64),
    ("http: 20 MiB x 16 connections", 55_000, 8, 48, 16),
    ("grpc: 5 spans x 64 connections", 5, 2_000, 2_000, 64),
    ("grpc: 4 MiB x 200 connections", 10_900, 50, 200, 200),
)


def main() -> None:
    """Print the peak after each load, and a JSON line."""
    peak_mib = 0.0
    chosen = [load for load in LOADS if all(word in load[0] for word in sys.argv[1:])]
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        engine = stack.enter_context(process([sys.executable, str(FIXTURE), "--path", f"{directory}/engine"]))
        dsn = f"clickhouse://default:@127.0.0.1:{line_of(engine, '')}/faasight"
        program = stack.enter_context(process([sys.executable, str(HERE / "_ingest_ours.py"), directory, "spans", dsn]))
        http, grpc = line_of(program, "ready ").split()
        assert program.stdin is not None
        started = resident_mib(program.pid)
        print(f"started: {started:.0f} MiB", flush=True)
        stored = 0
        for name, spans, different, number, connections in chosen:
            if name.startswith("grpc"):
                bodies = list(_requests.bodies("traces", spans, different))
                work = [bodies[n % different] for n in range(number)]
                taken = asyncio.run(_load.run_grpc(grpc, work, connections, "traces"))
            else:
                bodies = _load.requests(spans, different)
                work = [bodies[n % different] for n in range(number)]
                taken = asyncio.run(_load.run(http, work, connections))
            del work

            def rows() -> int:
                program.stdin.write("\n")  # type: ignore[union-attr]  # it is a pipe
                program.stdin.flush()  # type: ignore[union-attr]
                return int(line_of(program, "rows "))

            # The same bytes again are answered 200 and not stored again: at least one of each that was taken.
            until(lambda stored=stored: rows() > stored, "nothing was stored")  # type: ignore[misc]
            stored = rows()
            peak_mib = peak_kib(program.pid) / 1024
            print(f"{name}: {taken} of {number} taken, peak {peak_mib:.0f} MiB", flush=True)
    print(
        json.dumps(
            {
                "name": "collector_memory_server_mode",
                "ours": round(peak_mib),
                "peer": None,
                "unit": "MiB resident at most",
                "ratio": round(peak_mib / GOAL_MIB, 2),
                "goal": 1.0,
                "ok": peak_mib <= GOAL_MIB,
            }
        )
    )


def resident_mib(pid: int) -> float:
    """Return what a process has in memory now."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


if __name__ == "__main__":
    main()
