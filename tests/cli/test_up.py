"""`faasight up` as a process: it says where it is, stops in order, loses nothing, and tells why it cannot start."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

LINES = 200
COUNT = """
import sys
from datetime import UTC, datetime, timedelta
from faasight_store import Scope, Store
from faasight_store.queries import logs
with Store.open(sys.argv[1]) as store:
    now = datetime.now(UTC)
    scope = Scope(now - timedelta(hours=1), now + timedelta(hours=1))
    print(logs.volume(store, scope).total)
"""


def post_lines(collector: str, count: int) -> None:
    """Send log lines, each in a request of its own, and see each acknowledged."""
    for number in range(count):
        line = json.dumps({"message": f"line {number}", "level": "INFO", "function": "example"}).encode()
        request = Request(f"{collector}/v1/json-logs", data=line, headers={"Content-Type": "application/x-ndjson"})
        with urlopen(request, timeout=180) as answer:
            assert answer.status == 200


def stored(folder: Path) -> int:
    """Count the log lines in a folder's store, in a process of its own: an engine takes one folder."""
    command = [sys.executable, "-c", COUNT, f"chdb://{folder / 'faasight-data'}"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=180).stdout)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_in_order_and_loses_nothing(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path, how: signal.Signals
) -> None:
    up = faasight("up", folder=tmp_path, env={**any_ports, "FAASIGHT_DASHBORDS": "127.0.0.1:1"})
    assert "FAASIGHT_DASHBORDS" in up.wait_for("Ctrl+C stops it"), "a name that is no setting is told"
    with urlopen(up.url("dashboards"), timeout=180) as page:
        assert page.status == 200
    post_lines(up.url("collector"), LINES)
    up.process.send_signal(how)
    assert up.ended() == 0, up.said()
    assert up.said().count("\nstopped\n") == 1
    if stored(tmp_path) != LINES:  # a slow machine: the rest waits in the journal for the next start
        again = faasight("up", folder=tmp_path, env=any_ports)
        again.wait_for("Ctrl+C stops it")
        again.process.send_signal(signal.SIGINT)
        assert again.ended() == 0
    assert stored(tmp_path) == LINES


def test_the_same_folder_is_refused_to_a_second_one_and_free_again_after_a_kill(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    first = faasight("up", folder=tmp_path, env=any_ports)
    first.wait_for("Ctrl+C stops it")
    post_lines(first.url("collector"), 20)
    other = tmp_path / "other"
    other.mkdir()
    second = faasight("up", "--store", f"chdb://{tmp_path / 'faasight-data'}", folder=other, env=any_ports)
    assert second.ended() == 1
    assert "Traceback" not in second.said()
    assert "in use by another process" in second.said() or "is used by" in second.said(), second.said()
    first.process.kill()
    first.process.wait()
    again = faasight("up", folder=tmp_path, env=any_ports)
    again.wait_for("Ctrl+C stops it")
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0
    assert stored(tmp_path) == 20


def test_a_port_in_use_is_named_with_what_to_type(faasight: Callable[..., Any], any_ports: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        up = faasight("up", "--dashboards", place, env=any_ports)
        assert up.ended() == 1
    assert place in up.said()
    assert "--dashboards" in up.said()
    assert "Traceback" not in up.said()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--store", "chdb:///proc/nothing/here"], "/proc/nothing/here"),
        (["--store", "clickhouse://me:hidden@127.0.0.1:1/x"], "127.0.0.1:1"),
        (["--store", "clickhouse://me:hidden@127.0.0.1:notaport/x"], "FAASIGHT_STORE"),
        (["--rules", "/no/such/rules.yaml"], "/no/such/rules.yaml"),
        (["--dashboards", "0.0.0.0:0"], "0.0.0.0"),
        (["--collector-http", "0.0.0.0:0", "--collector-grpc", "off"], "0.0.0.0"),
    ],
)
def test_what_cannot_be_is_one_clear_sentence(
    faasight: Callable[..., Any], any_ports: dict[str, str], arguments: list[str], words: str
) -> None:
    up = faasight("up", *arguments, env=any_ports)
    assert up.ended() == 1
    last = up.err.read_text().splitlines()[-1]
    assert last.startswith("faasight: ")
    assert words in last
    assert "Traceback" not in up.said()
    assert "hidden" not in up.said()
