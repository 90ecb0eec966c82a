"""The Lambda extension under a stand-in of AWS's Extensions and Telemetry APIs, started as a layer starts it."""

import gzip
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import faasight
import pytest
from faasight_collector.inputs.aws_telemetry import to_parts
from polling import wait_until
from quiet_server import QuietHandler, QuietServer

NAME = "faasight-telemetry"
IDENTITY = "3b2d5c0e-0000-4000-8000-000000000001"
REQUEST = "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa"


class Lambda:
    """AWS's side: answers register, subscribe and next, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.refuse_telemetry = False
        self.waiting = threading.Event()  # the extension asked for its next event
        self._end = threading.Event()
        self._deadline_ms = 0
        mine = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                mine.asked.append((self.command, self.path, dict(self.headers), json.loads(self.body() or "null")))
                if self.command == "GET":
                    mine.waiting.set()
                    mine._end.wait()
                    end = {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": mine._deadline_ms}
                    self.tell(200, end)
                elif self.command == "PUT":
                    self.tell(403 if mine.refuse_telemetry else 200, "OK")
                else:
                    about = {"functionName": "checkout", "functionVersion": "7", "handler": "a.b"}
                    self.tell(200, {**about, "accountId": "123456789012"}, {"Lambda-Extension-Identifier": IDENTITY})

            def tell(self, status: int, what: Any, headers: dict[str, str] | None = None) -> None:
                self.reply(status, headers or {}, json.dumps(what).encode())

        self._server = QuietServer(Handler)
        self.address = self._server.address

    def shutdown(self, seconds: float = 2.0) -> None:
        """Tell the extension that the sandbox ends in so many seconds."""
        self._deadline_ms = int((time.time() + seconds) * 1000)
        self._end.set()

    @property
    def uri(self) -> str:
        """Where it wants its telemetry."""
        (body,) = [body for _, path, _, body in self.asked if path == "/2022-07-01/telemetry"]
        return str(body["destination"]["URI"])

    def post(self, *events: Any) -> int:
        """Post a batch as AWS does; return the status."""
        request = urllib.request.Request(self.uri, json.dumps(events).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return int(answer.status)
        except HTTPError as refused:
            with refused:
                return refused.code

    def close(self) -> None:
        """Stop."""
        self._end.set()
        self._server.close()


@pytest.fixture
def aws() -> Iterator[Lambda]:
    server = Lambda()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path, aws: Lambda, sink: Any) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Return what starts the extension from a folder laid out like /opt."""
    running: list[subprocess.Popen[str]] = []
    package = Path(faasight.__file__).parent
    (tmp_path / "extensions").mkdir()
    shutil.copy(package / "faasight-extension", tmp_path / "extensions" / NAME)
    (tmp_path / "python").symlink_to(package.parent)

    def begin(**variables: str) -> "subprocess.Popen[str]":
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": aws.address,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_REGION": "eu-west-1",
            "FAASIGHT_ENDPOINT": sink.endpoint,
            "FAASIGHT_ENVIRONMENT": "live",
            "FAASIGHT_TOKEN": "t-1",
            "PYTHONPATH": "/nowhere",  # the function's, which the extension must not mind
            **variables,
        }
        process = subprocess.Popen([tmp_path / "extensions" / NAME], env=environment, stderr=subprocess.PIPE, text=True)
        running.append(process)
        wait_until(lambda: aws.waiting.is_set() or process.poll() is not None, "the extension waits for its end")
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def event(kind: str, record: Any) -> dict[str, Any]:
    return {"time": "2026-11-21T10:00:00.000Z", "type": kind, "record": record}


def batches(sink: Any) -> list[tuple[dict[str, str], bytes]]:
    """Return what reached the collector, unpacked."""
    found = []
    for path, headers, body in sink.requests.copy():
        assert path == "/v1/aws/telemetry"
        found.append((headers, gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body))
    return found


def events(sink: Any) -> list[Any]:
    return [item for _, body in batches(sink) for item in json.loads(body)]


def ended(process: "subprocess.Popen[str]") -> str:
    """Wait for its end; return what it said."""
    _, told = process.communicate(timeout=180)
    assert process.returncode == 0, told
    return str(told)


def test_it_registers_for_the_end_alone_and_subscribes(aws: Lambda, start: Callable[..., Any]) -> None:
    start()
    register, subscribe, following = aws.asked
    assert register[:2] == ("POST", "/2020-01-01/extension/register")
    assert (register[2]["Lambda-Extension-Name"], register[3]) == (NAME, {"events": ["SHUTDOWN"]})
    assert subscribe[:2] == ("PUT", "/2022-07-01/telemetry")
    assert (subscribe[3]["schemaVersion"], subscribe[3]["types"]) == ("2022-12-13", ["platform", "function"])
    assert following[:2] == ("GET", "/2020-01-01/extension/event/next")
    assert {asked[2]["Lambda-Extension-Identifier"] for asked in (subscribe, following)} == {IDENTITY}


def test_a_batch_goes_on_as_it_came_and_the_collector_can_read_it(
    aws: Lambda, start: Callable[..., Any], sink: Any
) -> None:
    start()
    sent = [
        event("platform.start", {"requestId": REQUEST, "version": "7"}),
        event("function", "a line of text " * 200),  # long enough to be compressed
        event("platform.report", {"requestId": REQUEST, "status": "success", "metrics": {"durationMs": 12.5}}),
    ]
    assert aws.post(*sent) == 200
    wait_until(lambda: batches(sink), "the batch arrives")
    ((headers, body),) = batches(sink)
    assert json.loads(body) == sent
    assert (headers["authorization"], headers["Content-Encoding"]) == ("Bearer t-1", "gzip")
    named = {name.lower().encode(): value.encode() for name, value in headers.items()}
    lines = [json.loads(line) for part in to_parts(body, named, 5) for line in part.payload.splitlines()]
    assert [line["kind"] for line in lines] == ["start", "log", "report"]
    owner = ("function", "account", "region", "environment", "memory_mb")
    assert {tuple(line[key] for key in owner) for line in lines} == {
        ("checkout", "123456789012", "eu-west-1", "live", 512)
    }


def test_sandboxes_on_one_machine_do_not_get_in_each_others_way(aws: Lambda, start: Callable[..., Any]) -> None:
    start()
    first = aws.uri
    aws.asked.clear()
    aws.waiting.clear()
    start()
    assert aws.uri != first


def test_what_comes_after_the_end_was_told_is_still_sent(aws: Lambda, start: Callable[..., Any], sink: Any) -> None:
    process = start()
    aws.shutdown()
    assert aws.post(event("platform.report", {"requestId": REQUEST})) == 200
    assert ended(process) == ""
    assert [item["type"] for item in events(sink)] == ["platform.report"]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_batch_is_sent_again_until_it_is_taken(
    aws: Lambda, start: Callable[..., Any], sink: Any, status: int
) -> None:
    answers = iter([(status, {}, b"later")] * 2)
    sink.answer = lambda _: next(answers, (200, {}, b""))
    process = start()
    sent = [event("function", f"line {number}") for number in range(3)]
    for item in sent:
        assert aws.post(item) == 200
    aws.shutdown()
    assert ended(process) == ""
    assert events(sink) == sent


def test_a_refused_batch_stops_no_other_and_is_told(aws: Lambda, start: Callable[..., Any], sink: Any) -> None:
    answers = iter([(400, {}, b"no array of events")])
    sink.answer = lambda _: next(answers, (200, {}, b""))
    process = start()
    for number in range(2):
        aws.post(event("function", f"line {number}"))
    aws.shutdown()
    assert "refused" in ended(process)
    assert [item["record"] for item in events(sink)] == ["line 1"]


def test_without_a_collector_aws_keeps_what_there_is_no_room_for(
    aws: Lambda, start: Callable[..., Any], sink: Any
) -> None:
    sink.close()
    process = start()
    taken = [aws.post(event("function", "x" * 1_000_000)) for _ in range(6)]
    assert set(taken) == {200, 503}
    assert taken == sorted(taken), "once there is no room, there is none"
    aws.shutdown(0.5)
    assert "did not take all" in ended(process)


@pytest.mark.parametrize("variables", [{"FAASIGHT_DISABLED": "1"}, {}], ids=["switched off", "refused by AWS"])
def test_without_telemetry_it_stays_so_that_the_sandbox_does(
    aws: Lambda, start: Callable[..., Any], variables: dict[str, str]
) -> None:
    aws.refuse_telemetry = True
    process = start(**variables)
    assert process.poll() is None
    aws.shutdown()
    assert ("no telemetry" in ended(process)) is not bool(variables)
