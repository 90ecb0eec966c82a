"""`faasight collector --workers N`: several processes on one port, one journal each, and nothing lost between them.

What happens when they are killed under load: `tests/collector/test_kill.py`.
"""

import itertools
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
from faasight_cli import settings, workers
from faasight_cli.main import main
from faasight_store import Store
from killing import unshipped
from otlp import span, traces
from polling import wait_until

AWAY = "clickhouse://127.0.0.1:1/away"
FIND = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String} ORDER BY 1"


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with the defaults, and leave signals and logs as they are."""
    for name in [name for name in os.environ if name.startswith("FAASIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(workers, "StopSignal", lambda: None)
    monkeypatch.setattr(workers.logs, "configure", lambda *_: None)


def send(collector: str, name: str) -> str:
    """Send one span and return its id."""
    one = span(name, time.time_ns(), 1)
    body = traces([one]).SerializeToString()
    request = Request(f"{collector}/v1/traces", data=body, headers={"Content-Type": "application/x-protobuf"})
    with urlopen(request, timeout=180) as answer:  # a connection of its own: any worker may get it
        assert answer.status == 200
    return one.span_id.hex()


def test_they_take_what_comes_while_the_store_is_away_and_fewer_of_them_store_it_later(
    faasight: Callable[..., Any], any_ports: dict[str, str], server_dsn: str, tmp_path: Path
) -> None:
    """Three workers answer on one port and are stopped; a single collector empties their journals."""
    name = secrets.token_hex(8)
    several = faasight("collector", "--workers", "3", folder=tmp_path, env={**any_ports, "FAASIGHT_STORE": AWAY})
    several.wait_for("Ctrl+C stops it")
    url = several.url("collector")
    sent = [send(url, name) for _ in range(40)]
    used = {path.relative_to(tmp_path / "faasight-journal").parts[0] for path in tmp_path.glob("**/traces/*-*.*")}
    assert used == {"worker-1", "worker-2", "worker-3"}
    with urlopen(f"{url}/readyz", timeout=180) as answer:
        told = json.load(answer)
    assert [one["ready"] for one in told["workers"].values()] == [True, True, True]
    wait_until(lambda: accepted(url) == 40, "the metrics of all three say what they took")
    several.process.send_signal(signal.SIGTERM)
    assert several.ended() == 0, several.said()
    alone = faasight("collector", folder=tmp_path, env={**any_ports, "FAASIGHT_STORE": server_dsn})
    alone.wait_for("Ctrl+C stops it")
    wait_until(lambda: not unshipped(tmp_path / "faasight-journal"), "all is shipped")
    alone.process.send_signal(signal.SIGTERM)
    assert alone.ended() == 0, alone.said()
    with Store.open(server_dsn) as store:
        assert [row[0] for row in store.query(FIND, {"name": name})] == sorted(sent)


def accepted(url: str) -> float:
    with urlopen(f"{url}/metrics", timeout=180) as answer:
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith("faasight_collector_accepted_requests_total")]
    assert len([line for line in counted if 'signal="traces"' in line]) == 3
    assert lines.count('faasight_collector_worker_up{worker="2"} 1.0') == 1
    return sum(float(line.split()[-1]) for line in counted)


def test_they_end_with_their_supervisor_however_it_ends(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    command = faasight("collector", "--workers", "2", folder=tmp_path, env={**any_ports, "FAASIGHT_STORE": AWAY})
    command.wait_for("Ctrl+C stops it")
    below = psutil.Process(command.process.pid).children(recursive=True)
    assert len(below) == 2
    command.process.kill()
    _, alive = psutil.wait_procs(below, timeout=180)
    assert not alive


def test_a_worker_that_ends_is_started_again_and_later_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot live must not take the machine's time: the waits double."""
    now = 1000.0
    monkeypatch.setattr(workers.time, "monotonic", lambda: now)
    started: list[float] = []
    monkeypatch.setattr(workers.subprocess, "Popen", lambda *_, **__: started.append(now) or Dead())
    worker = workers.Worker(1, {}, tmp_path / "1.json")
    worker.start()
    while now < 1030:
        worker.watch()
        now += 0.1
    gaps = [later - sooner for sooner, later in itertools.pairwise(started)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 0.6
    assert gaps[5] > 6
    assert worker.restarts == len(gaps)


class Dead:
    """A process that has ended."""

    stdout = None

    def poll(self) -> int:
        """Return its exit status."""
        return 1


def test_a_port_in_use_is_told_before_any_worker_starts(capsys: pytest.CaptureFixture[str], no_settings: None) -> None:
    """Or two sets of workers would share one port, and each get half of what comes."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["collector", "--workers", "2", "--store", AWAY, "--collector-http", address]) == 1
    assert "ports are in use" in capsys.readouterr().err


def test_the_embedded_store_has_one_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("FAASIGHT_")]:
        monkeypatch.delenv(name)
    assert main(["collector", "--workers", "2"]) == 1
    assert "2 workers need a ClickHouse server" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", [{}, {"FAASIGHT_COLLECTOR_GRPC": "off", "FAASIGHT_ALLOW_REMOTE": "true", "FAASIGHT_JOURNAL": "/j"}]
)
def test_a_worker_gets_the_settings_as_the_supervisor_decided(given: Mapping[str, str]) -> None:
    said = {"workers": "4", "adopt": "/lost", "collector_http": "127.0.0.1:4999"}
    own = settings.load(given, said)
    environ = {**given, "FAASIGHT_WORKERS": "1"}
    assert settings.load(workers.environment(own, said, environ)) == own
