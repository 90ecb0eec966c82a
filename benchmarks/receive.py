"""What does receiving cost? CPU-microseconds a request from the socket to its answer, with no store behind.

Ours is the collector: read, checked, digested, written to the journal and synced to the disk before the answer. The
peer is a server on the same event loop that only counts bytes and answers: what no server in Python goes below.

    python benchmarks/receive.py                5 spans over 64 connections, 1,000 and 100 in JSON over 8
    python benchmarks/receive.py --rounds 5     medians
    python benchmarks/receive.py --threads      who of ours uses it
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from _subject import DEADLINE_S, line_of, process  # beside this file

HERE = Path(__file__).parent
_WARM = 10  # of so many requests one is sent before, to warm up


@dataclass(frozen=True)
class Size:
    """A shape of load; the goal is in microseconds a request."""

    name: str
    spans: int
    requests: int
    connections: int
    goal_us: float
    encoding: str = "protobuf"


SIZES = (
    Size("receive_json_100_spans", 100, 1000, 8, 900, "json"),
    Size("receive_1000_spans", 1000, 1000, 8, 1200),
    Size("receive_5_spans_64_connections", 5, 40_000, 64, 35),
)


def _threads(pid: int) -> dict[str, float]:
    """Return the CPU seconds of each thread, by name."""
    found: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        name = (task / "comm").read_text().strip()
        found[f"{name}-{task.name}"] = nanoseconds / 1e9
    return found


def _load(address: str, size: Size, requests: int) -> None:
    arguments = map(str, [address, size.spans, requests, size.connections, "traces", size.encoding])
    command = [sys.executable, str(HERE / "_load.py"), *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout.split()
    if int(answer[0]) != requests:
        raise RuntimeError(f"{answer[0]} of {requests} requests were accepted")


def measure(way: str, size: Size, *, threads: bool = False) -> float:
    """Return the CPU microseconds a request."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        program = stack.enter_context(process([sys.executable, str(HERE / "_receive_ours.py"), directory, way]))
        address = line_of(program, "ready ")
        _load(address, size, max(size.connections, size.requests // _WARM))
        before = _threads(program.pid)
        _load(address, size, size.requests)
        used = {
            name: (seconds - before.get(name, 0.0)) / size.requests * 1e6
            for name, seconds in _threads(program.pid).items()
        }
    if threads:
        for name, us in used.items():
            print(f"{size.name}: {way}: {name}: {us:.1f} us", flush=True)
    return sum(used.values())


def main() -> None:
    """Measure in turns, and print a JSON line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *(size.name for size in SIZES)])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", action="store_true")
    options = parser.parse_args()
    for size in SIZES:
        if options.names and size.name not in options.names:
            continue
        rounds = [
            [measure(way, size, threads=options.threads) for way in ("collector", "bare")]  # in turn
            for _ in range(options.rounds)
        ]
        ours, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
        line = {
            "name": size.name,
            "ours": round(ours, 1),
            "peer": round(bare, 1),
            "unit": "CPU-us a request, socket to answer (peer: a server that only answers)",
            "ratio": round(ours / bare, 2),
            "goal": size.goal_us,
            "ok": ours <= size.goal_us,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
