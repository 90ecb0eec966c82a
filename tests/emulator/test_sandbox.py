"""Sandboxes: cold and warm, frozen, killed, failing, and what they see of this machine."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator
from polling import wait_until

Start = Callable[..., Emulator]


def state(pid: int) -> str:
    """Return the state letter of a process: T is stopped; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def test_cold_then_warm(one: Start, sink: Any) -> None:
    """The second invocation finds the sandbox of the first, and only the first reports an init."""
    emulator = one("count")
    first, second = emulator.invoke("f", {}).json(), emulator.invoke("f", {}).json()
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]
    assert first["request_id"] != second["request_id"]
    counts = emulator.counts()["f"]
    assert (counts.invocations, counts.cold_starts, counts.errors) == (2, 1, 0)
    cold, warm = (report["metrics"] for report in sink.wait_for("f", "platform.report", 2))
    assert cold["initDurationMs"] > 0
    assert cold["billedDurationMs"] >= cold["initDurationMs"] + cold["durationMs"]
    assert "initDurationMs" not in warm


def test_scale_out(one: Start) -> None:
    """Two invocations at the same time run in two sandboxes."""
    emulator = one("sleep")
    pids = []
    threads = [
        threading.Thread(target=lambda: pids.append(emulator.invoke("f", {"seconds": 0.5}).json()["pid"]))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 2
    assert emulator.counts()["f"].cold_starts == 2


def test_frozen_between_invocations(one: Start) -> None:
    """A background thread of the function does not run between invocations, and goes on in the next."""
    emulator = one("tick")
    emulator.invoke("f", {})
    began = time.monotonic()
    pid = emulator.invoke("f", {"start": True}).json()["pid"]
    wait_until(lambda: state(pid) == "T", "the process is stopped")
    frozen_at = time.monotonic()
    wait_until(lambda: time.monotonic() - frozen_at > 0.6, "time has passed", every_s=0.1)
    assert state(pid) == "T"
    thawed_at = time.monotonic()
    counted = emulator.invoke("f", {}).json()["ticks"]
    awake_s = frozen_at - began + time.monotonic() - thawed_at
    assert counted < 30 + 100 * awake_s, "a thread that ran on would have counted 60 more"
    wait_until(lambda: emulator.invoke("f", {}).json()["ticks"] > counted, "the thread goes on while thawed")


def test_timeout(one: Start, sink: Any) -> None:
    """A function that runs into its time limit is killed, told so in Lambda's words, and starts cold again."""
    emulator = one("sleep", "Timeout: 1")
    pid = emulator.invoke("f", {"seconds": 0}).json()["pid"]
    result = emulator.invoke("f", {"seconds": 30})
    assert result.status == "timeout"
    assert result.json()["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert state(pid) == ""
    report = sink.wait_for("f", "platform.report", 2)[-1]
    assert (report["status"], report["requestId"]) == ("timeout", result.request_id)
    assert 1000 <= report["metrics"]["durationMs"] < 30_000
    assert emulator.invoke("f", {"seconds": 0}).json()["pid"] != pid
    counts = emulator.counts()["f"]
    assert (counts.timeouts, counts.errors, counts.cold_starts, counts.invocations) == (1, 1, 2, 3)


@pytest.mark.parametrize("kill", [{"seconds": 30}, {"code": 9}])
def test_a_killed_sandbox_is_reset(one: Start, sink: Any, kill: dict[str, int]) -> None:
    """Its files outlive the process; the next invocation runs the init on its own time, in the same sandbox."""
    emulator = one("keep", "Timeout: 2")
    first = emulator.invoke("f", {"write": "x"}).json()
    assert not emulator.invoke("f", kill).ok
    second = emulator.invoke("f", {}).json()
    assert (second["found"], second["sandbox"]) == ("x", first["sandbox"])
    assert second["pid"] != first["pid"]
    inits = sink.wait_for("f", "platform.initReport", 2)
    assert [(init["phase"], init["status"]) for init in inits] == [("init", "success"), ("invoke", "success")]
    reports = sink.wait_for("f", "platform.report", 3)
    assert "initDurationMs" not in reports[2]["metrics"], "a suppressed init is part of the duration"
    assert reports[2]["metrics"]["durationMs"] > inits[1]["metrics"]["durationMs"]
    assert emulator.counts()["f"].cold_starts == 2, "who called it waited for an init both times"


def test_an_init_that_fails_after_a_reset(one: Start, tmp_path: Path) -> None:
    """It fails the invocation, and the next one begins in a new sandbox."""
    emulator = one("keep", f"Timeout: 5, Environment: {{Variables: {{BREAKS: {tmp_path / 'broken'}}}}}")
    first = emulator.invoke("f", {}).json()
    emulator.invoke("f", {"code": 9})
    (tmp_path / "broken").touch()
    assert emulator.invoke("f", {}).error_type == "Runtime.ImportModuleError"
    (tmp_path / "broken").unlink()
    assert emulator.invoke("f", {}).json()["sandbox"] != first["sandbox"]


def test_out_of_memory(one: Start, sink: Any) -> None:
    """A function that takes more memory than it has is killed; the report says so and shows the full size."""
    emulator = one("grow", "MemorySize: 128")
    assert emulator.invoke("f", {"mb": 20}).ok
    result = emulator.invoke("f", {"mb": 400})
    assert result.error_type == "Runtime.OutOfMemory"
    assert result.json()["errorMessage"].endswith("signal: killed")
    small, killed = sink.wait_for("f", "platform.report", 2)
    assert 20 < small["metrics"]["maxMemoryUsedMB"] < 128
    assert (killed["status"], killed["errorType"]) == ("error", "Runtime.OutOfMemory")
    assert killed["metrics"]["maxMemoryUsedMB"] == killed["metrics"]["memorySizeMB"] == 128
    assert emulator.counts()["f"].out_of_memory == 1
    assert "Process exited before completing request" in sink.wait_for("f", "platform.fault")[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "Runtime exited with error: exit status 3"), (0, "Runtime exited without providing a reason")],
)
def test_exit(one: Start, code: int, words: str) -> None:
    """A process that leaves in the middle of an invocation is an error of its own kind."""
    result = one("leave").invoke("f", {"code": code})
    assert (result.error_type, result.json()["errorMessage"].endswith(words)) == ("Runtime.ExitError", True)


def test_handler_error_keeps_the_sandbox(one: Start, sink: Any) -> None:
    """An exception of the handler is passed on, and the sandbox lives."""
    emulator = one("fail")
    result = emulator.invoke("f", {"message": "out of stock"})
    assert (result.status, result.error_type, result.json()["errorMessage"]) == ("error", "ValueError", "out of stock")
    assert not emulator.invoke("f", {}).ok
    assert emulator.counts()["f"].cold_starts == 1
    assert sink.wait_for("f", "platform.report")[0]["errorType"] == "ValueError"


def test_init_error(start: Start, sink: Any) -> None:
    """A module that cannot be imported fails the init and the invocation that waited for it, each time."""
    emulator = start("  F: {Type: AWS::Serverless::Function, Properties: {Handler: not_there.handler}}\n")
    for _ in range(2):
        result = emulator.invoke("f", {})
        assert result.error_type == "Runtime.ImportModuleError"
        assert "not_there" in result.json()["errorMessage"]
    counts = emulator.counts()["f"]
    assert (counts.init_errors, counts.errors, counts.cold_starts) == (2, 2, 2)
    inits = sink.wait_for("f", "platform.initReport", 4)
    assert [one["phase"] for one in inits[:2]] == ["init", "invoke"], "the invocation tries once more"
    assert {(one["status"], one["errorType"]) for one in inits} == {("error", "Runtime.ImportModuleError")}


def test_an_init_that_fails_once_is_repeated_in_the_invocation(one: Start, sink: Any, tmp_path: Path) -> None:
    """What failed only for the moment is mended by the second try, on the invocation's time; nobody sees an error."""
    emulator = one("echo", f"Environment: {{Variables: {{BREAKS_ONCE: {tmp_path / 'broken'}}}}}")
    (tmp_path / "broken").touch()
    assert emulator.invoke("f", "hi").json() == "hi"
    inits = sink.wait_for("f", "platform.initReport", 2)
    assert [(init["phase"], init["status"]) for init in inits] == [("init", "error"), ("invoke", "success")]
    counts = emulator.counts()["f"]
    assert (counts.invocations, counts.cold_starts, counts.errors, counts.init_errors) == (1, 1, 0, 0)


def test_slow_init_runs_again_in_the_invocation(one: Start, sink: Any) -> None:
    """An init over its limit is killed and repeated on the invocation's time, as on AWS."""
    emulator = one("echo", "Environment: {Variables: {SLEEP_AT_IMPORT: '0.6'}}", init_limit=0.5)
    assert emulator.invoke("f", "hi").json() == "hi"
    inits = sink.wait_for("f", "platform.initReport", 2)
    assert [(init["phase"], init["status"]) for init in inits] == [("init", "timeout"), ("invoke", "success")]
    report = sink.wait_for("f", "platform.report")[0]
    assert report["metrics"]["durationMs"] > 600
    assert emulator.counts()["f"].init_errors == 0


def test_nothing_of_the_host_leaks_in(one: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox sees the variables of Lambda, of the template and of the settings, and no other."""
    monkeypatch.setenv("HOST_SECRET", "s3cret")
    monkeypatch.setenv("AWS_PROFILE", "production")
    emulator = one(
        "variables", "Environment: {Variables: {MINE: !Ref AWS::Region, N: 3, B: true}}", environment={"FOR_ALL": "x"}
    )
    seen = emulator.invoke("f", {}).json()
    assert (seen["MINE"], seen["N"], seen["B"], seen["FOR_ALL"]) == ("us-east-1", "3", "true", "x")
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert seen["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/f"
    assert seen["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")
    assert seen["_HANDLER"] == "app.variables"
    assert seen["AWS_ENDPOINT_URL"] == emulator.place.aws_endpoint
    allowed = {
        "FOR_ALL",
        "MINE",
        "N",
        "B",
        "PATH",
        "LANG",
        "TZ",
        "HOME",
        "TMPDIR",
        "PYTHONDONTWRITEBYTECODE",
        "_HANDLER",
        "LC_CTYPE",
    }
    others = {name for name in seen if not name.startswith(("AWS_", "LAMBDA_", "_X_AMZN"))}
    assert others <= allowed
    assert "production" not in seen.values()


def test_context(one: Start) -> None:
    """The context has the function's name, version, ARN, log stream and remaining time."""
    about = (
        one("about", "AutoPublishAlias: live, FunctionName: my-function, Timeout: 700")
        .invoke("my-function:live", {})
        .json()
    )
    assert (about["function"], about["version"], about["memory"]) == ("my-function", "1", "256")
    assert about["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:my-function:live"
    assert 500_000 < about["remaining_ms"] <= 700_000
    assert about["trace"].startswith("Root=1-")


def test_records_stay_whole_and_in_order(one: Start, sink: Any) -> None:
    """Printed lines are a record each, a logged traceback is one, and all stand before runtimeDone."""
    one("talk").invoke("f", {})
    sink.wait_for("f", "platform.report")
    events = sink.events("f")
    records = [event["record"] for event in events if event["type"] == "function"]
    assert records[:2] == ["one", "two"]
    assert json.loads(next(record for record in records if record.startswith("{")))["message"] == "four"
    logged = next(record for record in records if "three" in record)
    assert "Traceback" in logged
    assert "KeyError: 'missing'" in logged
    assert len(records) == 4
    kinds = [event["type"] for event in events]
    assert max(i for i, kind in enumerate(kinds) if kind == "function") < kinds.index("platform.runtimeDone")


def test_answer_too_large(one: Start) -> None:
    """An answer over six megabytes is refused in Lambda's words."""
    result = one("large", "MemorySize: 512").invoke("f", {})
    assert result.error_type == "Function.ResponseSizeTooLarge"


def test_exec_wrapper(start: Start, tmp_path: Path) -> None:
    """AWS_LAMBDA_EXEC_WRAPPER runs the runtime as its argument, from a layer of the template."""
    layer = tmp_path / "layer" / "bin"
    layer.mkdir(parents=True)
    script = layer / "wrap"
    script.write_text('#!/bin/sh\nexport WRAPPED="$*"\nexec "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    emulator = start("""
  Tools: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.variables
      Layers: [!Ref Tools]
      Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /opt/bin/wrap}}
""")
    assert emulator.invoke("f", {}).json()["WRAPPED"].endswith("-m awslambdaric app.variables")


def test_layers_and_log_format(start: Start, tmp_path: Path, sink: Any) -> None:
    """A layer's packages can be imported, and LogFormat JSON makes the runtime client log JSON."""
    (tmp_path / "layer" / "python").mkdir(parents=True)
    (tmp_path / "layer" / "python" / "shared_greeting.py").write_text('TEXT = "from the layer"\n')
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(
        "import logging\nimport shared_greeting\n"
        "def handler(event, context):\n    logging.getLogger().error(shared_greeting.TEXT)\n"
    )
    emulator = start("""
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}
  F:
    Type: AWS::Serverless::Function
    Properties: {Handler: main.handler, CodeUri: code, Layers: [!Ref Shared], LoggingConfig: {LogFormat: JSON}}
""")
    request_id = emulator.invoke("f", {}).request_id
    record = json.loads(sink.wait_for("f", "function")[0])
    assert (record["level"], record["message"], record["requestId"]) == ("ERROR", "from the layer", request_id)


def test_missing_exec_wrapper(one: Start) -> None:
    """A wrapper that is not there fails the init and names the path."""
    result = one("echo", "Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: /opt/none}}").invoke("f", {})
    assert result.error_type == "Runtime.InvalidEntrypoint"
    assert "/opt/none" in result.json()["errorMessage"]


def test_idle_sandboxes_are_ended(one: Start) -> None:
    """A sandbox that nobody needs for long is ended with its process."""
    emulator = one("count", idle_limit=0.2)
    pid = emulator.invoke("f", {}).json()["pid"]
    wait_until(lambda: state(pid) == "", "the process has ended")
    assert emulator.invoke("f", {}).json()["calls"] == 1


def test_sandbox_killed_while_frozen(one: Start) -> None:
    """A frozen process that somebody kills costs a cold start, not an error."""
    emulator = one("count")
    pid = emulator.invoke("f", {}).json()["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: state(pid) == "", "the process is reaped")
    assert emulator.invoke("f", {}).json()["calls"] == 1
    assert emulator.counts()["f"].errors == 0


def test_provisioned_concurrency(one: Start, sink: Any) -> None:
    """Provisioned sandboxes are ready before the first invocation, which then is no cold start."""
    emulator = one("variables", "ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}")
    assert sink.wait_for("f", "platform.initReport")[0]["initializationType"] == "provisioned-concurrency"
    assert emulator.invoke("f", {}).json()["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"
    assert emulator.counts()["f"].cold_starts == 0


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    """Return a command that runs another one on the first CPU alone."""
    command = tmp_path / "pin"
    cpu = min(os.sched_getaffinity(0))
    command.write_text(
        f"#!{sys.executable}\nimport os, sys\nos.sched_setaffinity(0, {{{cpu}}})\nos.execv(sys.argv[1], sys.argv[1:])\n"
    )
    command.chmod(0o700)
    return command


@contextmanager
def crowd(pin: Path, count: int) -> Iterator[None]:
    """Have so many processes on that CPU that want it all the time, for three minutes at most."""
    code = "import time; print('busy', flush=True)\nwhile time.process_time() < 180: pass"
    command = [str(pin), sys.executable, "-c", code]
    with ExitStack() as stack:
        busy = [stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(count)]
        for process in busy:
            stack.callback(process.kill)
        for process in busy:
            assert process.stdout
            assert process.stdout.readline() == b"busy\n"
        yield


def test_waiting_for_a_cpu_does_not_count_as_init(one: Start, sink: Any, pin: Path) -> None:
    """An init that a busy machine holds up is not killed: a crowd on its CPU delays it, its limit stands still."""
    with crowd(pin, 12):
        emulator = one("count", init_limit=0.4, environment={"AWS_LAMBDA_EXEC_WRAPPER": str(pin)})
        assert emulator.invoke("f", {}).ok
    init = sink.wait_for("f", "platform.initReport")[0]
    assert init["status"] == "success"
    assert init["metrics"]["durationMs"] > 400


def test_waiting_for_a_cpu_does_not_count_as_the_functions_time(one: Start, sink: Any, pin: Path) -> None:
    emulator = one("compute", "Timeout: 1", environment={"AWS_LAMBDA_EXEC_WRAPPER": str(pin)})
    assert emulator.invoke("f", {"seconds": 0}).ok
    with crowd(pin, 4):
        assert emulator.invoke("f", {"seconds": 0.4}).ok
    assert emulator.invoke("f", {"seconds": 60}).status == "timeout", "it has its time of the CPU, and no more"
    assert sink.wait_for("f", "platform.report", 2)[1]["metrics"]["durationMs"] > 1000
