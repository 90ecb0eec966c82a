"""What the emulator's tests share: one moto for the session, a collector that only listens, emulators on free ports."""

import gzip
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator, Settings
from faasight_emulator.aws import Moto
from faasight_emulator.warden import Warden
from polling import wait_until
from quiet_server import QuietHandler, QuietServer

FUNCTIONS = Path(__file__).parent / "functions"
HEAD = f"""\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.11
    CodeUri: {FUNCTIONS}
    Timeout: 10
    MemorySize: 256
Resources:
"""
Start = Callable[..., Emulator]


class Sink:
    """A collector that keeps what it is sent. `status` is what it answers to telemetry."""

    def __init__(self) -> None:
        self.status = 200
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        sink = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                body = self.body()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.posts.append((self.path, dict(self.headers), body))
                self.reply(sink.status, {}, b"")

        self._server = QuietServer(Handler)
        self.url = f"http://{self._server.address}"

    def events(self, function: str, kind: str = "") -> list[dict[str, Any]]:
        """Return the events of a function that have come, of one type or of all, in order."""
        return [
            event
            for path, headers, body in self.posts
            if path == "/v1/aws/telemetry" and headers["X-Faasight-Function"] == function
            for event in json.loads(body)
            if event["type"].startswith(kind)
        ]

    def wait_for(self, function: str, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the records of at least `count` events of one type, when they have come."""
        wait_until(lambda: len(self.events(function, kind)) >= count, f"{count} {kind} of {function} came")
        return [event["record"] for event in self.events(function, kind)]

    def close(self) -> None:
        """Listen no more."""
        self._server.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Listen in the collector's place."""
    listening = Sink()
    yield listening
    listening.close()


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one moto for all tests; `start` empties it."""
    warden = Warden()
    moto = Moto(warden, tmp_path_factory.mktemp("moto"))
    moto.start()
    yield moto.endpoint
    moto.stop()
    warden.stop()


@pytest.fixture
def template_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a template with these resources (indented by two), over the functions of app.py."""

    def write(resources: str) -> Path:
        path = tmp_path / "template.yaml"
        path.write_text(HEAD + resources)
        return path

    return write


@pytest.fixture
def start(aws: str, sink: Sink, template_file: Callable[[str], Path]) -> Iterator[Start]:
    """Start an emulator over these resources; it is stopped after the test."""
    running: list[Emulator] = []

    def run(resources: str, progress: Callable[[str], None] = lambda _: None, **settings: Any) -> Emulator:
        urllib.request.urlopen(urllib.request.Request(f"{aws}/moto-api/reset", b"")).close()
        # A machine that runs other tests too may need long for an init; the tests of the limit set their own.
        defaults: dict[str, Any] = {"gateway_port": 0, "collector": sink.url, "aws_endpoint": aws, "init_limit": 60.0}
        emulator = Emulator(Settings(template=template_file(resources), **(defaults | settings)), progress)
        running.append(emulator)
        emulator.start()
        return emulator

    yield run
    for emulator in running:
        emulator.stop()


@pytest.fixture
def one(start: Start) -> Start:
    """Start an emulator over one function, named `f`: its handler, more properties in flow style, then settings."""

    def run(handler: str, properties: str = "", **settings: Any) -> Emulator:
        more = f", {properties}" if properties else ""
        return start(
            f"  F: {{Type: AWS::Serverless::Function, Properties: {{Handler: app.{handler}{more}}}}}\n", **settings
        )

    return run
