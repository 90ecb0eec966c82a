"""examples/forwarder: the function posts what CloudWatch gives it, and is called again when that fails."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faasight_collector.inputs import cloudwatch_logs
from faasight_emulator import Emulator, Settings
from polling import wait_until

ROOT = Path(__file__).parents[2]
MESSAGE = (ROOT / "tests" / "collector" / "samples" / "cloudwatch_logs_json.json").read_bytes()
EVENT = {"awslogs": {"data": base64.b64encode(gzip.compress(MESSAGE)).decode()}}


@pytest.fixture
def emulator(aws: str, sink: Any) -> Iterator[Emulator]:
    """Run the example's template, with the sink for a collector."""
    settings = Settings(
        template=ROOT / "examples" / "forwarder" / "template.yaml",
        gateway_port=0,
        collector=sink.url,
        aws_endpoint=aws,
        init_limit=60.0,
        parameters={"CollectorUrl": sink.url, "CollectorToken": "t-1"},
        environment={"FAASIGHT_ENVIRONMENT": "live"},
    )
    running = Emulator(settings)
    running.start()
    yield running
    running.stop()


def forwarded(sink: Any) -> list[tuple[dict[str, str], bytes]]:
    return [(headers, body) for path, headers, body in list(sink.posts) if path == "/v1/aws/logs"]


def test_a_batch_is_posted_as_it_came(emulator: Emulator, sink: Any) -> None:
    emulator.invoke("faasight-forwarder", EVENT)
    wait_until(lambda: forwarded(sink), "the batch came")
    ((headers, body),) = forwarded(sink)
    assert headers["Authorization"] == "Bearer t-1"
    named = {name.lower().encode(): value.encode() for name, value in headers.items()}
    parts = list(cloudwatch_logs.to_parts(body, named, 5))
    lines = [json.loads(line) for part in parts for line in part.payload.splitlines()]
    assert len(lines) == 4
    assert {(line["function"], line["environment"]) for line in lines} == {("checkout", "live")}
    assert all(line["region"] for line in lines)
    own = json.dumps(
        json.loads(MESSAGE) | {"logGroup": "/aws/lambda/faasight-forwarder", "logStream": "2026/11/21/[1]a"}
    )
    assert list(cloudwatch_logs.to_parts(own.encode(), named, 5)) == [], "its own lines are left out"


@pytest.mark.parametrize(("status", "fails"), [(503, True), (429, True), (400, False), (413, False)])
def test_what_may_succeed_later_fails_and_what_never_will_does_not(
    emulator: Emulator, sink: Any, status: int, fails: bool
) -> None:
    sink.status = status
    answer = emulator.invoke("faasight-forwarder", EVENT)
    assert (answer.status != "success") is fails
