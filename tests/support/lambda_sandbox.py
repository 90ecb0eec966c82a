"""A sandbox of AWS Lambda: the Runtime API over HTTP, and a process with AWS's own client of it and a function."""

import json
import os
import queue
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polling import wait_until
from quiet_server import QuietHandler, QuietServer

PLENTY_MS = 60_000  # of time for an invocation: the wrapper would tell of one that nears its end


@dataclass
class Outcome:
    """What the function answered."""

    kind: str  # response, error, init error, exit
    body: Any
    seconds: float = 0.0  # from handing the event out to the answer


class RuntimeApi:
    """The AWS Lambda Runtime API for one sandbox: hands out events and takes the answers."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self.ready = threading.Event()
        self.before_snapshot, self.restore = threading.Event(), threading.Event()  # of SnapStart
        self.handed_out = 0.0
        api = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                if self.command == "POST":
                    self.take(self.body())
                elif self.path.endswith("/restore/next"):
                    api.before_snapshot.set()
                    api.restore.wait(180)
                    self.reply(200, {}, b"")
                else:
                    api.ready.set()
                    headers, body = api._events.get()
                    api.handed_out = time.monotonic()
                    self.reply(200, headers, body)

            def take(self, body: bytes) -> None:
                kind = {"response": "response", "error": "error"}[self.path.rpartition("/")[2]]
                kind = "init error" if "/init/" in self.path else kind
                seconds = time.monotonic() - api.handed_out
                api.outcomes.put(Outcome(kind, json.loads(body), seconds))  # first: by the reply the process may end
                self.reply(202, {}, b"")

        self._server = QuietServer(Handler)
        self.address = self._server.address

    def put(self, event: Any, request_id: str, timeout_ms: int, headers: dict[str, str]) -> None:
        """Have an event for the next that asks."""
        self._events.put(
            (
                {
                    "Lambda-Runtime-Aws-Request-Id": request_id,
                    "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + timeout_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:checkout",
                    "Content-Type": "application/json",
                    **headers,
                },
                json.dumps(event).encode(),
            )
        )

    def close(self) -> None:
        """Stop."""
        self._server.close()


class Sandbox:
    """One awslambdaric process with a function in it."""

    def __init__(self, folder: Path, environment: dict[str, str], command: list[str]) -> None:
        self.api = RuntimeApi()
        self._output = (folder / "output.txt").open("w+b")
        self._count = 0
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "AWS_LAMBDA_RUNTIME_API": self.api.address, **environment},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def invoke(self, event: Any = None, timeout_ms: int = PLENTY_MS, headers: dict[str, str] | None = None) -> Outcome:
        """Invoke and wait for the answer, or for the end of the process."""
        self.send(event, timeout_ms, headers)
        return self.outcome()

    def send(self, event: Any = None, timeout_ms: int = PLENTY_MS, headers: dict[str, str] | None = None) -> str:
        """Hand out an event once the function is ready; return the request id."""
        wait_until(
            lambda: self.api.ready.is_set() or self.process.poll() is not None, "the function asks", every_s=0.005
        )
        self._count += 1
        request_id = f"00000000-0000-0000-0000-{self._count:012d}"
        self.api.put(event if event is not None else {}, request_id, timeout_ms, headers or {})
        return request_id

    def outcome(self) -> Outcome:
        """Return the next answer."""

        def ended() -> Outcome | None:
            try:
                return self.api.outcomes.get(timeout=0.02)
            except queue.Empty:
                code = self.process.poll()
                return Outcome("exit", code) if code is not None and self.api.outcomes.empty() else None

        outcome = wait_until(ended, "the function answers", every_s=0)
        assert outcome is not None
        return outcome

    def output(self) -> str:
        """Return what the function has written so far."""
        self._output.flush()
        return Path(self._output.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines among its output."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def close(self) -> None:
        """Stop."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(180)
        self._output.close()
        self.api.close()
