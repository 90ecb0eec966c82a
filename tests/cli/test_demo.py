"""`faasight demo` as a process: all comes up, nothing is left behind by a SIGKILL, and it stops in order."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from ports import free_ports

SHOP = Path(__file__).parents[2] / "examples" / "shop"
SEEN = """
import sys
from datetime import UTC, datetime, timedelta
from faasight_store import Scope, Store
from faasight_store.queries import functions
with Store.open(sys.argv[1]) as store:
    now = datetime.now(UTC)
    for row in functions.functions(store, Scope(now - timedelta(hours=1), now + timedelta(minutes=1))):
        print(row.function, row.totals.invocations)
"""


def any_port() -> list[str]:
    """Return options for ports of the demo's own, which are free now."""
    names = ("--gateway-port", "--provider-port", "--carrier-port")
    return [word for name, port in zip(names, free_ports(3), strict=True) for word in (name, str(port))]


def functions_seen(folder: Path) -> dict[str, int]:
    """Return the invocations of each function in a demo's store, read by a process of its own."""
    command = [sys.executable, "-c", SEEN, f"chdb://{folder / 'faasight-data' / 'demo'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return {name: int(count) for name, count in map(str.split, done.stdout.splitlines())}


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.timeout(900)
def test_the_demo_runs_is_killed_and_runs_again(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    first = faasight("demo", "--shop", str(SHOP), *any_port(), "--rate", "4", folder=tmp_path, env=any_ports)
    said = first.wait_for("FaaSight is watching the shop")
    steps = [said.index(f"[{step}/6]") for step in range(1, 7)]
    assert steps == sorted(steps)
    with urlopen(first.url("dashboards"), timeout=180) as page:
        assert page.status == 200
    with urlopen(shop_url(said), timeout=180) as page:
        assert page.status == 200
    below = psutil.Process(first.process.pid).children(recursive=True)
    assert len(below) > 5, "providers, functions, their AWS, sandboxes, customers"
    first.process.kill()
    first.process.wait()
    end = time.monotonic() + 180
    while left := [process for process in below if not gone(process)]:
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.1)

    again = faasight("demo", "--shop", str(SHOP), *any_port(), "--seconds", "2", folder=tmp_path, env=any_ports)
    again.wait_for("FaaSight is watching the shop")
    again.wait_for("the customers have gone home")
    below = psutil.Process(again.process.pid).children(recursive=True)
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0, again.said()
    assert all(map(gone, below))
    seen = functions_seen(tmp_path)
    assert seen["restock"] >= 2, "one of each run"
    assert seen["catalog"] >= 2


def shop_url(said: str) -> str:
    """Return the shop's address from the banner."""
    return next(line.split()[-1] for line in said.splitlines() if line.strip().startswith("the shop"))


def test_a_process_that_cannot_start_ends_the_demo_with_its_last_words(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "alerts.yaml").write_text((SHOP / "alerts.yaml").read_text())
    (tmp_path / "provider.py").write_text((SHOP / "provider.py").read_text())
    demo = faasight("demo", "--shop", str(tmp_path), *any_port(), folder=tmp_path, env=any_ports)
    assert demo.ended() == 1
    assert "functions ended with status 1" in demo.said()
    assert "is no parameter 'PaymentProviderUrl'" in demo.said()
    assert "Traceback" not in demo.said()


def test_a_folder_without_a_shop_is_told(faasight: Callable[..., Any], tmp_path: Path) -> None:
    demo = faasight("demo", "--shop", str(tmp_path))
    assert demo.ended() == 1
    assert "--shop" in demo.said()


def test_tokens_and_certificates_are_refused_in_one_sentence(faasight: Callable[..., Any], tmp_path: Path) -> None:
    """Its functions have none; to pass over what was asked for would be no better."""
    said = {"FAASIGHT_TOKENS": "tokens.json", "FAASIGHT_TLS_CERTIFICATE": "c.pem", "FAASIGHT_TLS_KEY": "k.pem"}
    demo = faasight("demo", "--shop", str(SHOP), folder=tmp_path, env=said)
    assert demo.ended() == 1
    names = "-u FAASIGHT_TOKENS -u FAASIGHT_TLS_CERTIFICATE -u FAASIGHT_TLS_KEY"
    assert f"`env {names} faasight demo`" in demo.said()
    assert "Traceback" not in demo.said()
