"""What a function pays, or saves, by settings that are off by default: held telemetry, printed lines, orjson.

Holding (FAASIGHT_FLUSH_EVERY) is measured as wrapper.py measures: real runtime clients, frozen after each invocation,
bare before each other, told as the median of the differences; and by how many requests the collector gets. Lines are
rounds in a process of their own, in turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import faasight
from _near_collector import bodies, near_collector
from _pairs import cores, difference, started_on
from _sandbox import Command, sandbox

WARM_UP = 30
ROUNDS, LINES = 15, 2_000
GOAL = 1.0  # of what an invocation that sends at once is billed
APP = """
import os
if "EXTENSIONS" in os.environ:
    import faasight.holding
    faasight.holding.EXTENSIONS = os.environ["EXTENSIONS"]
def handler(event, context):
    return {"statusCode": 200, "body": "ok"}
"""


def commands(folder: Path) -> dict[str, Command]:
    """Return bare, one that sends after each invocation, and one that holds; a sandbox with an extension each."""
    (folder / "app.py").write_text(APP)
    (folder / "extensions").mkdir()
    (folder / "extensions" / "faasight").touch()
    run = [sys.executable, "-m", "awslambdaric", "app.handler"]
    wrapped = [str(Path(faasight.__file__).with_name("faasight-exec")), *run]
    path = {"PYTHONPATH": str(folder)}
    held = {"FAASIGHT_FLUSH_EVERY": "5", "EXTENSIONS": str(folder / "extensions")}
    for name in ("each", "held"):
        (folder / name).mkdir()
    return {
        "bare": Command(run, folder, path),
        "each": Command(wrapped, folder, {**path, "TMPDIR": str(folder / "each")}),
        "held": Command(wrapped, folder, {**path, "TMPDIR": str(folder / "held"), **held}),
    }


def measure_holding(calls: int) -> dict[str, tuple[float, int]]:
    """Return of both ways what is added to the bill, us at p50, and the requests for each thousand invocations."""
    added: dict[str, list[float]] = {"each": [], "held": []}
    base: dict[str, list[float]] = {"each": [], "held": []}
    requests = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        core = cores()
        running = {}
        with ExitStack() as collectors:
            with started_on(core[1] if core else None):
                for way, command in commands(folder).items():
                    port = collectors.enter_context(near_collector(folder / f"{way}.requests"))
                    told = {**command.environment, "FAASIGHT_ENDPOINT": f"http://127.0.0.1:{port}"}
                    one = Command(command.arguments, command.folder, told)
                    running[way] = stack.enter_context(sandbox(one))
            for one_of in running.values():
                for _ in range(WARM_UP):
                    one_of.call()
            for _ in range(calls):
                for way, values in added.items():
                    base[way].append(running["bare"].call().whole * 1e3)
                    values.append(running[way].call().whole * 1e3)
        for way in added:
            count = len(list(bodies(folder / f"{way}.requests")))
            requests[way] = round(count * 1_000 / (calls + WARM_UP))
    return {way: (difference(values, base[way]).median, requests[way]) for way, values in added.items()}


def lines(choice: str) -> None:
    """Run a round for each line of stdin, and tell the microseconds of one line on stderr."""
    import logging

    from faasight import logs

    if choice == "orjson":
        import orjson

        logs.use_orjson(orjson)
    log = logging.getLogger("shop")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logs.JsonFormatter())
    log.addHandler(handler)

    @faasight.observe
    def work(_event: object, _context: object) -> float:
        write = print if choice in {"print", "printed"} else log.warning  # asked for here: with the agent it changes
        began = time.process_time_ns()
        for _ in range(LINES):
            write("order accepted")
        return (time.process_time_ns() - began) / LINES / 1e3

    for _ in sys.stdin:
        sys.stderr.write(f"{work({}, None)}\n")
        sys.stderr.flush()


def measure_lines() -> dict[str, float]:
    """Return the least CPU of a line, us: plain and JSON by `print`, by `logging`, and by that with orjson."""
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        running = {}
        for choice in ("print", "printed", "logging", "orjson"):
            environment = {
                **os.environ,
                "FAASIGHT_PRINT": "json" if choice == "printed" else "off",
                "FAASIGHT_ENDPOINT": "http://127.0.0.1:9",
                "FAASIGHT_FALLBACK": "off",
                "FAASIGHT_COOLDOWN": "3600",
            }
            running[choice] = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, "--lines", choice],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        for _ in range(ROUNDS):
            for choice, process in running.items():
                assert process.stdin is not None
                assert process.stderr is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                told = process.stderr.readline()
                while told.startswith("faasight:"):  # that there is no collector
                    told = process.stderr.readline()
                found.setdefault(choice, []).append(float(told))
        for process in running.values():
            process.communicate()
    return {choice: min(values) for choice, values in found.items()}


def main() -> None:
    """Measure all, or be one of those that write lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="pairs of warm invocations of each way (500)")
    parser.add_argument("--lines", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.lines:
        lines(given.lines)
        return
    least = measure_lines()
    print("a line, us of CPU at least:", ", ".join(f"{name} {value:.1f}" for name, value in least.items()))
    ways = measure_holding(given.calls)
    for way, (billed, requests) in ways.items():
        print(f"{way}: {billed:.0f} us billed above bare at p50, {requests} requests for 1,000 invocations")
    ratio = ways["held"][0] / ways["each"][0]
    print(
        json.dumps(
            {
                "name": "held_telemetry_billed",
                "ours": round(ways["held"][0], 1),
                "peer": round(ways["each"][0], 1),
                "unit": "us",
                "ratio": round(ratio, 2),
                "goal": GOAL,
                "ok": ratio <= GOAL,
            }
        )
    )


if __name__ == "__main__":
    main()
