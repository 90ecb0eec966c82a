"""What is printed becomes log lines by choice, and `print` and stdout stay what they are."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google_host import Serve
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from polling import wait_until

HEAD = """
import faasight, io, os, sys, threading, contextlib, gc
@faasight.observe
def handler(event, context):
    pass
"""


def run(code: str, head: str = HEAD, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script with the wrapper; its stdout is a pipe, as functions' are."""
    own = {"FAASIGHT_PRINT": "json", "FAASIGHT_STRICT": "1", "FAASIGHT_FALLBACK": "off", "OTEL_SERVICE_NAME": "f"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FAASIGHT_")}
    return subprocess.run(
        [sys.executable, "-c", head + code], env=kept | own | environment, capture_output=True, check=False
    )


def lines(run: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert run.returncode == 0, run.stderr.decode()
    return [json.loads(line) for line in run.stdout.splitlines()]


def messages(run: subprocess.CompletedProcess[bytes]) -> list[str]:
    return [line["message"] for line in lines(run)]


def test_a_line_knows_its_invocation(function: Any, sink: Any) -> None:
    code = "def handler(event, context):\n    print('stock is', 7, {'password': 'hunter2'})\n    return event\n"
    sandbox = function("print('loading')\n" + code, FAASIGHT_PRINT="json")
    assert sandbox.invoke({"a": 1}).body == {"a": 1}
    (span,) = sink.wait()
    loading, line = sandbox.lines()
    assert (loading["message"], "request_id" in loading) == ("loading", False)
    assert line["message"] == "stock is 7 {'password': ***}"
    assert (line["level"], line["logger"], line["function"], line["cold_start"]) == ("INFO", "print", "checkout", True)
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert line["request_id"] == span.attributes["faas.invocation_id"]


def test_off_by_default_and_then_not_even_loaded(function: Any, sink: Any) -> None:
    code = (
        "import sys\n"
        "def handler(event, context):\n"
        "    print('plain')\n"
        "    return ['faasight.printed' in sys.modules, str(print)]\n"
    )
    sandbox = function(code)
    assert sandbox.invoke().body == [False, "<built-in function print>"]
    assert sandbox.output() == "plain\n"


def test_lines_reach_the_collector_too(function: Any, sink: Any) -> None:
    code = "def handler(event, context):\n    print('one')\n    print('two', end='')\n"
    function(code, FAASIGHT_PRINT="json", FAASIGHT_SEND_LOGS="1").invoke()
    (span,) = sink.wait()

    def sent() -> list[Any]:
        bodies = [body for path, _, body in sink.requests.copy() if path == "/v1/logs"]
        requests = [ExportLogsServiceRequest.FromString(body) for body in bodies]
        return [log for r in requests for g in r.resource_logs for s in g.scope_logs for log in s.log_records]

    wait_until(lambda: len(sent()) == 2, "both lines came")
    assert [(log.body.string_value, log.span_id.hex()) for log in sent()] == [
        ("one", span.span_id),
        ("two", span.span_id),
    ]


def test_one_call_is_one_line_and_pieces_join() -> None:
    code = """
print("a", "b", sep="-")
print("first\\nsecond")
for n in range(3):
    print(n, end=",")
print("done")
print("shown at once", end="", flush=True)
print()
print("", end="")
print("progress", end="\\r")
"""
    told = run(code)
    assert told.stdout.count(b"\n") == 6
    (blank,) = [line for line in told.stdout.splitlines() if not line]
    assert blank == b"", "what is blank stays so"
    told.stdout = told.stdout.replace(b"\n\n", b"\n")
    assert messages(told) == ["a-b", "first\nsecond", "0,1,2,done", "shown at once", "progress\r"]


def test_what_is_begun_is_written_when_its_invocation_ends_or_takes_long(function: Any, sink: Any) -> None:
    code = (
        "import threading\n"
        "def handler(event, context):\n"
        "    print('connecting ...', end='')\n"
        "    if event.get('hang'): threading.Event().wait(300)\n"
    )
    sandbox = function(code, FAASIGHT_PRINT="json", FAASIGHT_START_AFTER="0.2")
    sandbox.invoke()
    (span,) = sink.wait(1)
    assert [(line["message"], line["span_id"]) for line in sandbox.lines()] == [("connecting ...", span.span_id)]
    sandbox.send({"hang": True})
    wait_until(lambda: len(sandbox.lines()) == 2, "the line of the one that hangs came")
    line = sandbox.lines()[1]
    assert line["message"] == "connecting ..."
    wait_until(lambda: line["span_id"] in {record.parent_id for record in sink.started()}, "it is that one's")


def test_threads_keep_their_pieces_apart() -> None:
    code = """
meet = threading.Barrier(2)
def work(name):
    for _ in range(50):
        print(name, end="")
        meet.wait(60)
        print(name)
threads = [threading.Thread(target=work, args=(name,)) for name in ("left", "right")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    assert sorted(messages(run(code))) == ["leftleft"] * 50 + ["rightright"] * 50


UNCHANGED = """
kept = io.StringIO()
with contextlib.redirect_stdout(kept):
    print("captured", end="")
print("elsewhere", file=kept)
print("to stderr", file=sys.stderr)
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    print("into a file")
assert kept.getvalue() == "capturedelsewhere\\n"
print('{"_aws": {"CloudWatchMetrics": []}, "orders": 1}')
sys.stdout.write("written\\n")
sys.stdout.buffer.write(b"bytes\\n")
sys.stdout.flush()
assert sys.stdout is sys.__stdout__ and sys.stdout.fileno() == 1 and not sys.stdout.isatty()
sys.stdout.reconfigure(line_buffering=True)
class Shop:
    say = print
Shop().say("{\\"an\\": \\"attribute\\"}")
import copy, pickle
assert pickle.loads(pickle.dumps(print)) is print and copy.deepcopy(print) is print
assert print.__name__ == "print" and "sep" in print.__doc__
for wrong in ({"sep": 1}, {"end": 1}, {"nonsense": 1}):
    try:
        print("x", **wrong)
    except TypeError as error:
        sys.stdout.write(str(error) + "\\n")
class Bites:
    def __str__(self):
        raise KeyError("bites")
try:
    print(Bites())
except KeyError as error:
    sys.stdout.write(repr(error) + "\\n")
print("x" * 10_000_000)
sys.stdout = None
print("nowhere")
"""


def test_what_is_no_line_of_text_for_stdout_is_as_without_us() -> None:
    """Redirections, other files, lines that are JSON already, wrong arguments, 10 MB."""
    ours, plain = (run(UNCHANGED, FAASIGHT_PRINT=how) for how in ("json", "off"))
    assert ours.returncode == 0, ours.stderr.decode()
    assert ours.stdout == plain.stdout
    assert ours.stderr == plain.stderr == b"to stderr\n"


@pytest.mark.parametrize("closing", ["sys.stdout.close()", "os.close(1)"])
def test_a_closed_stdout_raises_what_it_raises_without_us(closing: str) -> None:
    code = f"""
{closing}
try:
    print("x", flush=True)
except Exception as error:
    sys.stderr.write(repr(error))
os._exit(0)
"""
    ours, plain = (run(code, FAASIGHT_PRINT=how) for how in ("json", "off"))
    assert ours.stderr == plain.stderr != b""


def test_a_finalizer_a_fork_and_the_end_of_the_process() -> None:
    code = """
class Last:
    def __init__(self, name): self.name = name
    def __del__(self): print("gone", self.name)
class Prints:
    def __str__(self):
        print("within")
        return "outer"
ring = Last("a"); ring.self = ring
del ring
gc.collect()
print(Prints())
print("the parent's", end="")
child = os.fork()
if child == 0:
    print("the child's")
    sys.exit(0)
os.waitpid(child, 0)
kept = Last("b")
"""
    told = run(code)
    assert told.stdout.endswith(b"\ngone b\n"), "Python has put its own `print` back by then"
    told.stdout = told.stdout.removesuffix(b"gone b\n")
    assert messages(told) == ["gone a", "within", "outer", "the child's", "the parent's"]


def test_a_fault_of_ours_costs_the_ids_and_not_the_line() -> None:
    code = """
import faasight.logs
def broken(*given):
    raise RuntimeError("ours")
faasight.logs.head = broken
print("all the same")
"""
    told = run(code, FAASIGHT_STRICT="0")
    assert told.stdout == b"all the same\n"
    assert b"RuntimeError: ours" in told.stderr


def test_under_googles_own_execution_ids(serve: Serve, sink: Any) -> None:
    code = """
import faasight.auto
import functions_framework


@functions_framework.http
def hello(request):
    print("packed", 3)
    return "done"
"""
    framework = serve(code, FAASIGHT_PRINT="json", LOG_EXECUTION_ID="true")
    assert framework.call(headers={"Function-Execution-Id": "exec-1"}).body == "done"
    (span,) = sink.wait()
    (line,) = framework.lines()
    assert (line["message"], line["severity"], line["span_id"]) == ("packed 3", "INFO", span.span_id)
    assert line["logging.googleapis.com/labels"] == {"execution_id": "exec-1"}
    assert Path(framework._output.name).read_text().count("\n") == 1
