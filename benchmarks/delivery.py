"""Does every invocation's span arrive? Ours over 10,000 invocations, frozen after each answer, and some killed.

Real `python -m awslambdaric` processes on a Runtime API of ours: SIGSTOP after each answer, SIGCONT with the next
event. One invocation in a hundred runs into its time limit and is killed there; one in a hundred is killed at once, by
SIGKILL, as for its memory. Twice the collector goes away and comes back on the same port; what could not be sent is
then looked for in the function's log, as the collector would find it there. An invocation counts as delivered if a span
with its id came either way, and as doubled if two different ones did.

The peer is OpenTelemetry's Lambda layer set-up with the same kills, over a tenth of the invocations and with a
collector that never goes: without one, each of its calls takes seconds.

    python benchmarks/delivery.py [--invocations N] [--environments FOLDER: kept for the next run]
"""

import argparse
import json
import socket
import subprocess
import tempfile
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import decompress

from _near_collector import bodies, near_collector
from _sandbox import Command, Sandbox
from _wrapped import make_environments, subjects, with_collector
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KILLED_EVERY = 100
PLAN = {33: "sleep", 66: "die"}  # of a hundred invocations, what each of these does
LIMIT_MS = 300  # of an invocation that runs into it
AWAY = ((0.30, 0.33), (0.60, 0.61))  # parts of the run without a collector
FUNCTION = """
import os, signal, time

def handler(event, context):
    if event.get("does") == "sleep":
        time.sleep(60)
    if event.get("does") == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return {'statusCode': 200}
"""


@dataclass
class Run:
    """What was invoked: request ids by what became of them."""

    answered: set[str] = field(default_factory=set)
    timed_out: set[str] = field(default_factory=set)
    killed: set[str] = field(default_factory=set)


class Collector:
    """The stand-in, which may go away and come back."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept
        self._running: AbstractContextManager[int] | None = None
        self._place = socket.socket()  # holds the port, and never listens: nobody else shall get it meanwhile
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]
        self.come()

    def come(self) -> None:
        """Start it, on the port that it had."""
        if self._running is None:
            self._running = near_collector(self.kept, self.port)
            self._running.__enter__()

    def go(self) -> None:
        """End it; what it has answered is kept."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def close(self) -> None:
        """End it for good."""
        self.go()
        self._place.close()


def run(command: Command, count: int, collector: Collector, log: Path, away: Iterable[tuple[float, float]]) -> Run:
    """Invoke a function `count` times, one after the other, in as many sandboxes as its kills ask for."""
    done = Run()
    gone = [range(int(begin * count), int(end * count)) for begin, end in away]
    with log.open("ab") as output:
        sandbox = Sandbox(command, output=output)
        for i in range(count):
            (collector.go if any(i in part for part in gone) else collector.come)()
            does, ids = PLAN.get(i % KILLED_EVERY, "answer"), done.answered
            if does == "answer":
                sandbox.call({"does": does})
            else:
                ids = done.timed_out if does == "sleep" else done.killed
                _invoke_to_death(sandbox, does)
            ids.add(sandbox.request_id)
            if does != "answer":
                sandbox = Sandbox(command, output=output)
        sandbox.call({"does": "answer"})
        done.answered.add(sandbox.request_id)
        time.sleep(0.2)  # frozen, as long as the collector may need to read what was sent last
        sandbox.close()
    return done


def _invoke_to_death(sandbox: Sandbox, does: str) -> None:
    sandbox.thaw()
    sandbox.hand_out({"does": does}, LIMIT_MS)
    try:
        sandbox.process.wait(LIMIT_MS / 1e3)
    except subprocess.TimeoutExpired:
        sandbox.process.kill()
    sandbox.close()


def seen(kept: Path, log: Path) -> dict[str, set[bytes]]:
    """Return the different spans of each invocation (request id -> encoded spans), from both ways."""
    found: dict[str, set[bytes]] = defaultdict(set)
    for body in (*bodies(kept), *_logged(log)):
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    texts = {item.key: item.value.string_value for item in span.attributes}
                    request_id = texts.get("faas.invocation_id", "")
                    if request_id and texts.get("faasight.phase") != "start":
                        found[request_id].add(span.SerializeToString())
    return found


def _logged(log: Path) -> Iterator[bytes]:
    for line in log.read_bytes().splitlines():
        if b'"faasight.otlp":"traces"' in line:
            yield decompress(b64decode(json.loads(line)["z"]))


@dataclass(frozen=True)
class Result:
    """How many invocations there were, and how many of each kind are without a span."""

    invocations: int
    lost: dict[str, int]
    doubled: int
    lines: int  # in the function's log, of what could not be sent

    @property
    def per_cent(self) -> float:
        """The share of the invocations of which there is exactly one span."""
        return 100 * (self.invocations - sum(self.lost.values()) - self.doubled) / self.invocations


def measure(command: Command, work: Path, count: int, away: Iterable[tuple[float, float]]) -> Result:
    """Run one function, whose `app.py` is to be FUNCTION, in the folder `work`; count what came of it."""
    kept, log, temporary = work / "bodies", work / "log", work / "tmp"
    temporary.mkdir()
    kept.touch()
    collector = Collector(kept)
    try:
        command = with_collector(command, collector.port)
        command = Command(command.arguments, command.folder, {**command.environment, "TMPDIR": str(temporary)})
        done = run(command, count, collector, log, away)
    finally:
        collector.close()
    found = seen(kept, log)
    kinds = {"answered": done.answered, "over their limit": done.timed_out, "killed": done.killed}
    lost = {kind: len(ids - found.keys()) for kind, ids in kinds.items()}
    doubled = sum(len(spans) > 1 for spans in found.values())
    return Result(sum(map(len, kinds.values())), lost, doubled, len(list(_logged(log))))


def compare(name: str, environments: Path, folder: Path, count: int, away: Iterable[tuple[float, float]]) -> float:
    """Measure a subject of the wrapper's benchmark and print what came; return the share delivered, in per cent."""
    work = folder / name.replace(" ", "-")
    work.mkdir()
    subject = next(s for s in subjects(work, environments) if s.name == name)
    (subject.command.folder / "app.py").write_text(FUNCTION)
    result = measure(subject.command, work, count, away)
    lost = ", ".join(f"{number} {kind}" for kind, number in result.lost.items())
    print(
        f"{name}: {result.invocations} invocations; without a span: {lost}; with two different ones: {result.doubled}; "
        f"lines in the log: {result.lines}",
        flush=True,
    )
    return result.per_cent


def main() -> None:
    """Measure both; print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--invocations", type=int, default=10_000)
    parser.add_argument("--environments", type=Path, help="where the environments are made, and kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environments = options.environments or folder / "environments"
        make_environments(environments, ("faasight", "opentelemetry"))
        ours = compare("faasight", environments, folder, options.invocations, AWAY)
        peer = compare("OpenTelemetry layer", environments, folder, options.invocations // 10, ())
    figures = {"name": "spans_delivered", "ours": round(ours, 3), "peer": round(peer, 3), "unit": "%"}
    print(json.dumps({**figures, "ratio": round(ours / peer, 4), "goal": 100, "ok": ours == 100}))


if __name__ == "__main__":
    main()
