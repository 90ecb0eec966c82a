"""What does a state machine add to an invocation in the emulator? CPU time of the emulator's process.

Runs a Map over warm Lambda tasks, one after the other, and the same invocations without a state machine: the peer.
Prints also what a Pass state costs. The spans of all are made and, without a collector, kept.

    python benchmarks/states.py [--rounds 5]
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from faasight_emulator import Emulator, Settings

TASKS, STATES = 100, 200
GOAL = 1.5  # times the CPU time of the invocation alone
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


def _template(folder: Path) -> Path:
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n", encoding="utf-8")
    passing = {
        f"S{n}": {"Type": "Pass", "Result": {"n": n}, "ResultPath": "$.at", "Next": f"S{n + 1}"} for n in range(STATES)
    }
    one = {"StartAt": "Task", "States": {"Task": {"Type": "Task", "Resource": "${Echo}", "End": True}}}
    items = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": one, "End": True}
    machines = {
        "Passing": {"StartAt": "S0", "States": {**passing, f"S{STATES}": {"Type": "Succeed"}}},
        "Tasks": {"StartAt": "Items", "States": {"Items": items}},
    }
    properties = {"Runtime": "python3.11", "Handler": "app.handler", "CodeUri": "."}
    resources = {"Echo": {"Type": "AWS::Serverless::Function", "Properties": properties}} | {
        name: {
            "Type": "AWS::Serverless::StateMachine",
            "Properties": {
                "Definition": definition,
                "DefinitionSubstitutions": {"Echo": {"Fn::GetAtt": ["Echo", "Arn"]}},
            },
        }
        for name, definition in machines.items()
    }
    path = folder / "template.json"
    path.write_text(json.dumps({"Resources": resources}), encoding="utf-8")
    return path


def _cpu_us(work: Callable[[], object], rounds: int, count: int) -> float:
    """Return the median CPU time, in microseconds, of one of `count` things that `work` does."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) / count * 1e6)
    return statistics.median(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_template(Path(folder)), gateway_port=0, collector=NOWHERE, aws_endpoint=NOWHERE)
        emulator = Emulator(settings)
        emulator.start()
        try:
            emulator.invoke("echo", 1)  # the cold start
            emulator.execute("passing", {})
            state = _cpu_us(lambda: emulator.execute("passing", {}), rounds, STATES)
            task = _cpu_us(lambda: emulator.execute("tasks", list(range(TASKS))), rounds, TASKS)
            alone = _cpu_us(lambda: [emulator.invoke("echo", 1) for _ in range(TASKS)], rounds, TASKS)
        finally:
            emulator.stop()
    print(f"Pass state {state:.0f} us, task {task:.0f} us, invocation alone {alone:.0f} us")
    ratio = task / alone
    unit = "us of the emulator's CPU, a warm task of a state machine and the invocation alone"
    figures = {"ours": round(task), "peer": round(alone), "ratio": round(ratio, 2), "state_us": round(state)}
    print(json.dumps({"name": "states", **figures, "unit": unit, "goal": GOAL, "ok": ratio <= GOAL}))


if __name__ == "__main__":
    main()
