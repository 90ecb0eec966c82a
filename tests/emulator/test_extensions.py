"""External extensions: registered, told of invocations and of the end, and given telemetry, by the real protocol."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faasight
import pytest
from faasight_emulator import Emulator
from polling import wait_until

FUNCTIONS = Path(__file__).parent / "functions"
Start = Callable[..., Emulator]
Notes = Callable[..., list[Any]]


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """Make a layer with one extension."""
    program = tmp_path / "layer" / "extensions" / "watcher"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n" + (FUNCTIONS / "extension.py").read_text())
    program.chmod(0o755)
    return tmp_path / "layer"


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    """Read what the extension wrote down, of one kind or of all."""

    def read(kind: str = "") -> list[Any]:
        file = tmp_path / "notes"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [value for what, value in lines if what == kind] if kind else [what for what, _ in lines]

    return read


@pytest.fixture
def watched(start: Start, layer: Path, tmp_path: Path) -> Start:
    """Start a function beside the extension."""

    def run(
        handler: str, more: str = "", does: str = "", given: dict[str, str] | None = None, **settings: Any
    ) -> Emulator:
        resources = f"""
  Watch: {{Type: AWS::Serverless::LayerVersion, Properties: {{ContentUri: {layer}}}}}
  F:
    Type: AWS::Serverless::Function
    Properties: {{Handler: app.{handler}, Layers: [!Ref Watch]{more}}}
"""
        environment = {"EXTENSION_NOTES": str(tmp_path / "notes"), "EXTENSION_DOES": does, **(given or {})}
        return start(resources, environment=environment, **settings)

    return run


def test_a_life(watched: Start, notes: Notes, sink: Any) -> None:
    """Register, subscribe, INVOKE for each invocation, telemetry from the init on, SHUTDOWN with its reason."""
    emulator = watched("talk")
    first, second = emulator.invoke("f", {}), emulator.invoke("f", {})
    assert first.ok
    assert notes("registered") == [
        {"functionName": "f", "functionVersion": "$LATEST", "handler": "app.talk", "accountId": "123456789012"}
    ]
    invoked = notes("INVOKE")
    assert [event["requestId"] for event in invoked] == [first.request_id, second.request_id]
    assert invoked[0]["invokedFunctionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert invoked[0]["tracing"]["value"].startswith("Root=1-")
    assert invoked[0]["deadlineMs"] > time.time() * 1000
    emulator.stop()
    assert [event["shutdownReason"] for event in notes("SHUTDOWN")] == ["spindown"]
    assert notes()[-1] == "bye", "it had time for its end"
    kinds = [event["type"] for event in notes("telemetry")]
    assert kinds.count("platform.report") == kinds.count("platform.runtimeDone") == 2
    assert {"platform.initStart", "platform.initReport", "platform.telemetrySubscription"} <= set(kinds)
    printed = [event["record"] for event in notes("telemetry") if event["type"] == "function"]
    assert printed[:2] == ["one", "two"]
    assert "the extension prints" in [event["record"] for event in sink.events("f", "extension")]


def test_its_function_has_notice_of_the_end(watched: Start, one: Start, tmp_path: Path) -> None:
    """SIGTERM comes where there is an extension, and nowhere else."""
    for start, file in ((watched, tmp_path / "beside"), (one, tmp_path / "alone")):
        emulator = start("bid_farewell")
        assert emulator.invoke("f", {"file": str(file)}).ok
        emulator.stop()
    assert [(tmp_path / name).exists() for name in ("beside", "alone")] == [True, False]


def test_it_is_frozen_and_waited_for(watched: Start, notes: Notes) -> None:
    """The invocation has ended when the extension asks for the next; the caller has its answer before."""
    emulator = watched("echo", does="work on")
    assert emulator.invoke("f", 2).json() == 2
    assert emulator.running("f") == 1, "the extension works on"
    wait_until(lambda: emulator.running("f") == 0, "the sandbox is free")
    assert notes().count("INVOKE") == 1


def test_a_time_out_is_its_end_too(watched: Start, notes: Notes) -> None:
    """A time-out shuts the extension down with that reason, and the next invocation has a new one."""
    emulator = watched("sleep", ", Timeout: 1")
    assert emulator.invoke("f", {"seconds": 9}).status == "timeout"
    assert emulator.invoke("f", {"seconds": 0}).ok
    assert [event["shutdownReason"] for event in notes("SHUTDOWN")] == ["timeout"]
    assert notes().count("registered") == 2
    reports = [event["record"] for event in notes("telemetry") if event["type"] == "platform.report"]
    assert reports[0]["status"] == "timeout", "the report of the time-out reached the extension before its end"


@pytest.mark.parametrize("does", ["crash", "leave at once"])
def test_one_that_ends_fails_the_function(watched: Start, does: str) -> None:
    """An extension that dies takes the sandbox along, as on AWS."""
    result = watched("sleep", does=does).invoke("f", {"seconds": 5})
    assert result.error_type == "Extension.Crash"
    assert "watcher ended: exit status" in result.json()["errorMessage"]


def test_a_name_that_is_no_files_is_refused(watched: Start, notes: Notes) -> None:
    """It would be an internal extension, which hears of no end: refused, and told which names there are."""
    result = watched("echo", given={"EXTENSION_NAME": "another"}).invoke("f", 1)
    assert result.error_type == "Extension.Crash", "it left when it was refused"
    first = notes("registered")[0]
    assert first["errorType"] == "Extension.InvalidEventType"
    assert "'another' is the name of no file in extensions/ (watcher)" in first["errorMessage"]


def test_one_that_registers_as_internal_is_waited_for_by_its_files_name(watched: Start, sink: Any) -> None:
    """So it is on AWS: the init goes on to its limit, and fails."""
    given = {"EXTENSION_NAME": "another", "EXTENSION_EVENTS": "INVOKE"}
    result = watched("echo", ", Timeout: 1", given=given, init_limit=1.0).invoke("f", 1)
    assert result.status == "timeout"
    faults = sink.wait_for("f", "platform.fault")
    assert faults[0] == "not registered by the name of its file: extension watcher"


def test_one_that_does_not_end(watched: Start) -> None:
    """At the end it has two seconds."""
    emulator = watched("echo", does="hang at the end")
    emulator.invoke("f", 1)
    began = time.monotonic()
    emulator.stop()
    assert time.monotonic() - began < 300, "the extension would go on for ten minutes"


def test_our_own_extension(start: Start, sink: Any, tmp_path: Path) -> None:
    """The extension of the layer runs here as it does on AWS: its telemetry comes to the collector."""
    package = Path(faasight.__file__).parent
    (tmp_path / "layer" / "extensions").mkdir(parents=True)
    (tmp_path / "layer" / "python").mkdir()
    shutil.copy(package / "faasight-extension", tmp_path / "layer" / "extensions" / "faasight-telemetry")
    (tmp_path / "layer" / "python" / "faasight").symlink_to(package)
    emulator = start(
        f"""
  Ours: {{Type: AWS::Serverless::LayerVersion, Properties: {{ContentUri: {tmp_path / "layer"}}}}}
  F: {{Type: AWS::Serverless::Function, Properties: {{Handler: app.talk, Layers: [!Ref Ours]}}}}
""",
        environment={"FAASIGHT_ENDPOINT": sink.url},
    )
    result = emulator.invoke("f", {})
    emulator.stop()
    records = [event["record"] for event in sink.events("f", "platform.report")]
    assert [record["requestId"] for record in records] == [result.request_id] * 2, "from the platform, and from it"
