"""Where an invocation's processor time goes: instructions of each part of ours, counted by valgrind's callgrind.

Times of a frozen sandbox are caches and noise; instructions are the same on each run and machine, kernel left out. The
runtime client's own `handle_event_request` is called in a loop with an HTTP event, posting nothing; what an invocation
costs is the difference of two loops' lengths. Garbage collection is off: when it comes is chance.

    apt-get install valgrind; python benchmarks/instructions.py [--environments FOLDER: kept for the next run]
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _near_collector import near_collector, refusing
from _sandbox import ARN, EVENT
from _wrapped import make_environments, python_of

SHORT, LONG = 100, 500
GOAL = 100  # thousands, before the answer
LOOP = """
import gc, json, sys, time, types
import awslambdaric.bootstrap as bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

part, count, event, arn = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4]

class Client(LambdaRuntimeClient):
    def __init__(self):
        self.marshaller = LambdaMarshaller()
    def post_invocation_result(self, *_):
        pass
    def post_invocation_error(self, *error):
        raise SystemExit(repr(error))

LambdaRuntimeClient.wait_next_invocation = lambda self: None
app = sys.modules["app"] = types.ModuleType("app")
app.handler = handler = lambda event, context: {"statusCode": 200}
if part != "bare":
    import faasight.aws, faasight.afterwards, faasight.witness
    handler = faasight.aws.handler
if part == "no note":
    faasight.witness.Witness.begin = lambda *_: -1
if part in ("no note", "answer"):
    faasight.afterwards.send = lambda agent, invocation: agent.witness.end(invocation.note)
gc.disable()
client = Client()
for i in range(count):
    client.wait_next_invocation()
    limit = int(time.time() * 1000) + 30_000
    known = f"{i:036x}", event, "application/json", None, None, arn, limit, None, None
    bootstrap.handle_event_request(client, handler, *known)
client.wait_next_invocation()
"""


def of_one(python: Path, folder: Path, part: str, port: int) -> float:
    """Return the thousands of instructions of one invocation."""
    counts = [_count(python, folder, part, times, port) for times in (SHORT, LONG)]
    return (counts[1] - counts[0]) / (LONG - SHORT) / 1000


def _count(python: Path, folder: Path, part: str, times: int, port: int) -> int:
    environment = {
        "PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "TMPDIR": str(folder),
        "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_LOG_STREAM_NAME": "a", "AWS_LAMBDA_LOG_GROUP_NAME": "b",
        "AWS_REGION": "eu-central-1", "_HANDLER": "app.handler", "FAASIGHT_HANDLER": "app.handler",
        "FAASIGHT_ENDPOINT": f"http://127.0.0.1:{port}",
        "FAASIGHT_COOLDOWN": "60",
    }  # fmt: skip
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*valgrind, str(python), "-c", LOOP, part, str(times), json.dumps(EVENT), ARN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=folder)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    assert counted is not None, done.stderr
    return int(counted[1])


def main() -> None:
    """Count and print each part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--environments", type=Path, help="where the environment is made, and kept")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as name, near_collector() as port, refusing() as nobody:
        folder = Path(name)
        environments = options.environments or folder / "environments"
        make_environments(environments, ("faasight",))
        python = python_of(environments, "faasight")
        bare, no_note, answer, full = (
            of_one(python, folder, part, port) for part in ("bare", "no note", "answer", "full")
        )
        alone = of_one(python, folder, "full", nobody)
    print(f"thousands of instructions of one invocation\n{'bare: the context, the JSON, the call':64}{bare:8.0f}")
    for what, ours in (
        ("begin and end, before the answer", no_note - bare),
        ("the note for the case of a kill, and blotting it out", answer - no_note),
        ("after the answer: read the event, encode, send", full - answer),
        ("all of ours", full - bare),
        ("all of ours, to stdout while no collector is there", alone - bare),
    ):
        print(f"{what:64}{ours:8.0f}")
    ours = answer - bare
    figures = {"ours": round(ours), "peer": round(bare), "unit": "thousands", "ratio": round(ours / bare, 3)}
    print(json.dumps({"name": "wrapper_instructions_to_the_answer", **figures, "goal": GOAL, "ok": ours <= GOAL}))


if __name__ == "__main__":
    main()
