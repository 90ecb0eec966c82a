"""What does a span cost, from the socket to the table? CPU-seconds per million, ours, a peer's and the engine's own.

Ours is the collector with the embedded engine in one process: validated, written to the journal and synced to the disk
before the answer, decoded and stored with all rollups of the schema. The peer is Rotel (`_rotel.py`) into the same
engine. Both get the same requests (`_requests.py`) from a load generator in another process, whose CPU is not counted,
and are measured until all rows are stored and the merges that this caused are over. The floor is the engine alone: it
inserts the rows that ours stored once more, in Native format, into the same tables.

    python benchmarks/ingest.py             all sizes
    python benchmarks/ingest.py NAME ...    some of them
    python benchmarks/ingest.py --rounds 3  medians
    python benchmarks/ingest.py --scale 0.1 fewer requests: a look, no figure
    python benchmarks/ingest.py NAME --stored 2 --stored 20    ours alone, with so many million rows there already
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import _rotel  # beside this file
import psutil
from _subject import DEADLINE_S, Subject, line_of, process, until

HERE = Path(__file__).parent
FLOOR_GOAL = 2.5
GROWTH_GOAL = 1.2
TABLES = {"traces": "spans", "logs": "logs", "metrics": "metric_points"}


@dataclass(frozen=True)
class Size:
    """A shape of load, and the ratio to the peer that is the goal; None where the peer has no such way in."""

    name: str
    items: int  # a request
    requests: int
    connections: int
    goal: float | None
    signal: str = "traces"
    encoding: str = "protobuf"


SIZES = (
    Size("ingest_1000_spans_a_request", 1000, 600, 8, 0.5),
    Size("ingest_gzip", 1000, 300, 8, 0.5, encoding="gzip"),
    Size("ingest_grpc", 1000, 300, 8, 0.5, encoding="grpc"),
    Size("ingest_json", 1000, 100, 8, 0.7, encoding="json"),
    Size("ingest_logs", 1000, 300, 8, 0.7, signal="logs"),
    Size("ingest_metrics", 1000, 300, 8, None, signal="metrics"),
    Size("ingest_5_spans_a_request_64_connections", 5, 60_000, 64, 0.7),
)


@dataclass(frozen=True)
class Figure:
    """What one subject needed for one size."""

    cpu_s_per_million: float
    peak_mib: float
    requests_a_second: float
    floor: float = 0.0  # the engine alone, in the same unit


@contextmanager
def ours(directory: Path, signal: str) -> Iterator[Subject]:
    """Run the collector with the embedded engine."""
    with process([sys.executable, str(HERE / "_ingest_ours.py"), str(directory), TABLES[signal]]) as program:
        address, grpc_address = line_of(program, "ready ").split()

        def ask(question: str, answer: str) -> str:
            assert program.stdin is not None
            program.stdin.write(f"{question}\n")
            program.stdin.flush()
            return line_of(program, answer)

        yield Subject(
            address,
            grpc_address,
            (psutil.Process(program.pid),),
            lambda: int(ask("", "rows ")),
            lambda: float(ask("floor", "floor ")),
            lambda rows: int(ask(f"grow {rows}", "rows ")),
        )


def _fill(subject: Subject, rows: int) -> None:
    """Store rows that are there already when the measuring begins: copies, made by the engine itself."""
    if subject.grow and subject.stored() < rows:
        subject.grow(rows)
        _until_calm(subject)


def _send(subject: Subject, size: Size, requests: int) -> float:
    """Send requests, wait until all their rows are stored and merged, and return the seconds that sending took."""
    seconds = _post(subject, size, requests)
    _until_calm(subject)
    return seconds


def _post(subject: Subject, size: Size, requests: int) -> float:
    """Send requests, wait until all their rows are stored, and return the seconds that sending took."""
    before = subject.stored()
    address = subject.grpc_address if size.encoding == "grpc" else subject.address
    arguments = [address, size.items, requests, size.connections, size.signal, size.encoding]
    command = [sys.executable, str(HERE / "_load.py"), *map(str, arguments)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout.split()
    if int(answer[0]) != requests:
        raise RuntimeError(f"{answer[0]} of {requests} requests were accepted")
    until(lambda: subject.stored() >= before + requests * size.items, "not all rows were stored")
    return float(answer[1])


def _until_calm(subject: Subject) -> None:
    """Wait until merges are over: a second in which the processes use next to nothing."""
    used = [subject.cpu_s()]

    def calm() -> bool:
        used.append(subject.cpu_s())
        return len(used) > 6 and used[-1] - used[-6] < 0.1  # a tenth of a core over five looks

    until(calm, "the merges did not end")


def measure(run: Callable[[Path, str], AbstractContextManager[Subject]], size: Size, stored: int = 0) -> Figure:
    """Warm up, then measure one size; with so many rows there already, the engine alone is not asked."""
    with tempfile.TemporaryDirectory() as directory, run(Path(directory), size.signal) as subject:
        warm = max(size.connections, size.requests // 20)
        _send(subject, size, warm)
        _fill(subject, stored)
        cpu_s = subject.cpu_s()
        seconds = _send(subject, size, size.requests)
        used, peak_mib = subject.cpu_s() - cpu_s, subject.peak_mib()
        floor_s = subject.floor_s() if subject.floor_s and not stored else 0.0
    rows = size.requests * size.items
    return Figure(used / rows * 1e6, peak_mib, size.requests / seconds, floor_s / (rows + warm * size.items) * 1e6)


def _median(figures: list[Figure]) -> Figure:
    return sorted(figures, key=lambda figure: figure.cpu_s_per_million)[(len(figures) - 1) // 2]


def _show(size: Size, name: str, figure: Figure) -> None:
    print(
        f"{size.name}: {name}: {figure.cpu_s_per_million:.1f} CPU-s per million {size.signal}, "
        f"peak {figure.peak_mib:.0f} MiB, {figure.requests_a_second:.0f} requests/s"
        + (f", the engine alone {figure.floor:.1f}" if figure.floor else ""),
        flush=True,
    )


def _line(name: str, mine: float, other: float, what: str, goal: float) -> dict[str, object]:
    return {
        "name": name,
        "ours": round(mine, 2),
        "peer": round(other, 2),
        "unit": f"CPU-s per million, socket to table (peer: {what})",
        "ratio": round(mine / other, 3),
        "goal": goal,
        "ok": mine / other <= goal,
    }


def _growth(size: Size, stored: list[float]) -> Iterator[dict[str, object]]:
    """Yield, for each number of million rows, what it costs to add to them; the ratio is to the least of them."""
    least = 0.0
    for millions in stored:
        figure = measure(ours, size, int(millions * 1e6))
        _show(size, f"ours with {millions:g} million stored", figure)
        least = least or figure.cpu_s_per_million
        name = f"{size.name}_with_{millions:g}_million"
        yield _line(name, figure.cpu_s_per_million, least, f"ours with {stored[0]:g} million", GROWTH_GOAL)


def main() -> None:
    """Measure, print the figures, and the JSON lines at the end; the last is that of small requests to the peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *(size.name for size in SIZES)])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="a tenth of the requests: 0.1")
    parser.add_argument("--stored", type=float, action="append", help="million rows that are there already")
    options = parser.parse_args()
    lines = []
    for one in SIZES:
        if options.names and one.name not in options.names:
            continue
        size = replace(one, requests=int(one.requests * options.scale))
        if options.stored:
            lines += _growth(size, sorted(options.stored))
            continue
        rounds = [  # in turn, so that other work on the machine meets both
            (measure(ours, size), measure(_rotel.run, size) if size.goal else None) for _ in range(options.rounds)
        ]
        mine = _median([figures[0] for figures in rounds])
        _show(size, "ours", mine)
        floor = statistics.median(figures[0].floor for figures in rounds)
        lines.append(_line(f"{size.name}_floor", mine.cpu_s_per_million, floor, "the engine alone", FLOOR_GOAL))
        theirs = [figures[1] for figures in rounds if figures[1]]
        if size.goal and theirs:
            other = _median(theirs)
            _show(size, "peer", other)
            what = "Rotel with its ClickHouse exporter"
            lines.append(_line(size.name, mine.cpu_s_per_million, other.cpu_s_per_million, what, size.goal))
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
