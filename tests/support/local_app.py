"""An example application in the emulator, as a customer sees it: requests to its gateway, and patience."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from faasight_emulator import Emulator, Settings

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running(example: str, **settings: Any) -> Iterator[Emulator]:
    """Run an example's template unchanged, without a collector unless one is given."""
    defaults: dict[str, Any] = {"gateway_port": 0, "collector": "http://127.0.0.1:9", "init_limit": 60.0}
    said: list[str] = []
    emulator = Emulator(Settings(EXAMPLES / example / "template.yaml", **(defaults | settings)), said.append)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()
    assert [line for line in said if "Warning" in line and "template.yaml" in line] == []


def call(emulator: Emulator, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """Return the status and the JSON of an answer."""
    try:
        with urlopen(Request(emulator.gateway_address + path, data=body, method=method), timeout=180) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)
