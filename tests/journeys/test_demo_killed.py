"""The demo is killed and runs again: nothing is left behind, and what it had acknowledged is there, once."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from demo import Demo, make_demo
from otlp import resource, span, traces
from polling import wait_until
from slack_server import SlackServer

pytestmark = pytest.mark.timeout(1800)

# The embedded engine is one a process, and this one may have another folder open.
READ_SPANS = """
import json, sys
from faasight_store import Store
with Store.open(sys.argv[1]) as store:
    store.migrate()
    rows = store.query("SELECT service, lower(hex(span_id)), count() FROM spans GROUP BY ALL", timeout_s=60)
    print(json.dumps([list(row) for row in rows]))
"""


class Witness:
    """Sends spans of its own, one a request, and keeps the ids of those that were answered with 200."""

    def __init__(self, collector: str) -> None:
        self.acknowledged: list[str] = []
        self._url = f"{collector}/v1/traces"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with requests.Session() as session:
            for _ in range(20_000):
                if self._stop.wait(0.002):
                    return
                self._send(session)

    def _send(self, session: requests.Session) -> None:
        one = span("witnessed", time.time_ns(), 1)
        body = traces([one], resource("witness")).SerializeToString()
        try:
            answer = session.post(self._url, data=body, headers={"Content-Type": "application/x-protobuf"}, timeout=60)
        except requests.RequestException:
            return  # not acknowledged
        if answer.status_code == 200:
            self.acknowledged.append(one.span_id.hex())


def stored_spans(demo: Demo) -> Counter[tuple[str, str]]:
    """Return how often each span (service, id) is stored; the demo must not run."""
    dsn = f"chdb://{demo.folder}/faasight-data/demo"
    done = subprocess.run([sys.executable, "-c", READ_SPANS, dsn], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    return Counter({(service, span_id): count for service, span_id, count in json.loads(done.stdout)})


def acknowledge_more(witness: Witness, count: int) -> None:
    """Wait for so many more acknowledgements."""
    wanted = len(witness.acknowledged) + count
    wait_until(lambda: len(witness.acknowledged) >= wanted, f"{wanted} spans are acknowledged")


def gone(pids: list[int]) -> Callable[[], bool]:
    """Return a question: whether each process has ended."""
    return lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)


def children_of(pid: int) -> list[int]:
    """Return the processes under a process, and under those."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {pid})


@contextmanager
def running(demo: Demo) -> Iterator[Witness]:
    """Run the demo with a witness until many spans are acknowledged; in the end none of its processes may be left."""
    demo.start()
    assert demo.process is not None
    witness = Witness(demo.collector)
    try:
        acknowledge_more(witness, 300)
        below = children_of(demo.process.pid)
        assert below
        yield witness
    finally:
        witness.stop()
    wait_until(gone(below), "no process of the demo is left")
    (demo.folder / "demo.log").unlink()


def shipped(demo: Demo, since: float) -> Callable[[], bool]:
    """Return a question: whether the store has all traces that were acknowledged until then."""

    def ask() -> bool:
        text = requests.get(f"{demo.collector}/metrics", timeout=180).text
        found = re.search(r'^faasight_collector_ship_lag_seconds{signal="traces"} (\S+)', text, re.MULTILINE)
        assert found, text
        return float(found[1]) < time.time() - since - 1

    return ask


def test_nothing_acknowledged_is_missing_or_doubled(slack: SlackServer, tmp_path: Path) -> None:
    demo = make_demo(tmp_path, slack.url, "--rate", "0.5")
    acknowledged: list[str] = []
    for _ in range(2):
        with running(demo) as witness:
            assert demo.end(signal.SIGKILL) == -signal.SIGKILL
        acknowledged += witness.acknowledged
    demo.command += ["--seconds", "2"]
    with running(demo) as witness:
        steps = [demo.said().index(f"[{step}/6]") for step in range(1, 7)]
        assert steps == sorted(steps)
        for page in (demo.dashboards, f"{demo.gateway}/products"):
            assert requests.get(page, timeout=180).status_code == 200
        wait_until(lambda: "the customers have gone home" in demo.said(), "the customers have gone home")
        witness.stop()
        wait_until(shipped(demo, time.time()), "all that was acknowledged is in the store")
        assert demo.end() == 0, demo.said()[-3000:]
    acknowledged += witness.acknowledged
    stored = stored_spans(demo)
    witnessed = {span_id for service, span_id in stored if service == "witness"}
    assert set(acknowledged) <= witnessed
    assert {span for span, count in stored.items() if count > 1} == set()
    assert {"checkout", "catalog", "restock"} <= {service for service, _ in stored}
