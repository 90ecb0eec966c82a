"""The demo's processes do not outlive it, tell why they failed, and stop in time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from faasight_cli import children
from faasight_cli.children import Child
from faasight_cli.errors import ChildError
from polling import wait_until

NEVER = False
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
PARENT = """
import os, pathlib, sys, time
from faasight_cli.children import Child
code = "import time; print(1, flush=True); time.sleep(60)"
one = Child("example", [sys.executable, "-c", code], pathlib.Path(sys.argv[1]), os.environ)
print(one.pid, flush=True)
time.sleep(60)
"""


def child(tmp_path: Path, code: str) -> Child:
    return Child("example", [sys.executable, "-c", code], tmp_path / "example.log", os.environ)


def test_a_child_that_ends_too_early_shows_its_last_lines(tmp_path: Path) -> None:
    one = child(tmp_path, "import sys; print('first'); sys.exit('no such port')")
    with pytest.raises(
        ChildError, match=r"example ended with status 1:\n  \| first\n  \| no such port\n.*example\.log"
    ):
        one.wait_until(lambda: NEVER, 180, lambda: NEVER)


def test_a_child_that_takes_too_long_is_told(tmp_path: Path) -> None:
    one = child(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ChildError, match="not ready after 0 s"):
        one.wait_until(lambda: NEVER, 0.1, lambda: NEVER)
    children.stop([one], within_s=180)
    assert one.ended() == -signal.SIGTERM


def test_a_child_that_does_not_want_to_stop_is_killed_with_its_own_children(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {STUBBORN}"
    one = child(tmp_path, code)
    wait_until(lambda: one.log.read_text().count("ready") == 2, "both say that they are ready")
    grandchildren = psutil.Process(one.pid).children(recursive=True)
    assert len(grandchildren) == 1
    children.stop([one], within_s=0.1)
    assert one.ended() == -signal.SIGKILL
    wait_until(
        lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in grandchildren),
        "both are gone",
    )


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(log)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    wait_until(lambda: log.read_text() == "1\n", "the child runs")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,
        "the child ends with its parent",
    )
