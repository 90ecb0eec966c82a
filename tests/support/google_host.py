"""Google's functions-framework as a process: what its images run a function with."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports

HOST = Path(sys.prefix) / "hosts" / "google"
CODE = """
import faasight.auto
import functions_framework


@functions_framework.http
def hello(request):
    return f"hello {request.args.get('name', '')}"
"""
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
CLOUD = {
    "K_SERVICE": "hello-service",
    "K_REVISION": "hello-service-00007-abc",
    "K_CONFIGURATION": "hello-service",
    "GOOGLE_CLOUD_PROJECT": "shop-project",
    "GOOGLE_CLOUD_REGION": "europe-west3",
    "OTEL_RESOURCE_ATTRIBUTES": "faas.max_memory=268435456",
}


def need(host: Path) -> None:
    """Skip without the host; fail where it must be."""
    if not host.is_dir():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("sh tests/instrumentation/hosts/install.sh")


@dataclass
class Answer:
    """What a function answered."""

    status: int
    body: str


class Framework:
    """One process of the framework, as Google's images start it."""

    def __init__(self, folder: Path, code: str, target: str, environment: dict[str, str]) -> None:
        self.port = free_ports(1)[0]
        (folder / "main.py").write_text(code)
        self._output = (folder / "output.txt").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "functions_framework"],
            cwd=folder,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("FAASIGHT_")},
                "PYTHONPATH": str(HOST),
                "FUNCTION_TARGET": target,
                "HOST": "127.0.0.1",
                "PORT": str(self.port),
                "PYTHONUNBUFFERED": "1",
                "TMPDIR": str(folder),
                **environment,
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def call(
        self, path: str = "/", body: bytes | None = None, headers: dict[str, str] | None = None, timeout: float = 60.0
    ) -> Answer:
        """Send a request; a body makes it a POST."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())

    def event(self, kind: str, source: str, data: object, **headers: str) -> Answer:
        """Send a CloudEvent in binary mode."""
        told = {"ce-specversion": "1.0", "ce-id": "e1", "ce-type": kind, "ce-source": source}
        told |= {"ce-time": "2026-11-21T10:00:00.5Z", "Content-Type": "application/json"} | headers
        return self.call("/", json.dumps(data).encode(), told)

    def listens(self) -> bool:
        """Whether it takes connections; fails when the process is gone."""
        assert self.process.poll() is None, self.output()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def output(self) -> str:
        """Return what it has written so far."""
        return Path(self._output.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines among its output."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def close(self) -> None:
        """Stop the master and its workers."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(180)
        self._output.close()


Serve = Callable[..., Framework]
