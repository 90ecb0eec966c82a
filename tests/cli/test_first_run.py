"""What the first page tells a newcomer to type, typed: with a token and without."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from dash.development.base_component import Component
from faasight_collector import Collector, Settings
from faasight_dashboards.views.first_run import first_run
from faasight_store import Store

from tests.collector.conftest import StoreAway
from tests.collector.keyring import Keyring


def code(steps: Component, number: int) -> str:
    """Return the text of a step that is to be pasted."""
    return str(steps[f"first-run-code-{number}"].children.children)


@pytest.fixture(params=[False, True], ids=["open", "token"])
def collector(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Collector, str]]:
    """Start a collector; with it comes the token that it asks for, or an empty text."""
    keyring, secret, more = Keyring(tmp_path / "tokens.json"), "", cast(dict[str, Any], {})
    if request.param:
        secret, more = keyring.add("my-function"), {"tokens": keyring.path}
    made = Collector(
        Settings(journal_dir=tmp_path / "j", http_port=0, grpc_port=None, **more), cast(Store, StoreAway())
    )
    made.start()
    yield made, secret
    made.stop()


def test_hello_from_a_shell_arrives(collector: tuple[Collector, str]) -> None:
    running, secret = collector
    steps = first_run(f"http://{running.http_address}", with_token=bool(secret))
    assert ("FAASIGHT_TOKEN" in code(steps, 3)) is bool(secret)
    command = code(steps, 4).replace("curl ", "curl --silent --fail-with-body ", 1)
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "FAASIGHT_TOKEN": secret},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert running.stats.snapshot()["records"].accepted == 1
