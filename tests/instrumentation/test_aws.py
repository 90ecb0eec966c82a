"""Zero-code start under the real AWS runtime client, against a real Runtime API and a real collector port."""

import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import faasight
import pytest
from faasight.imports import with_room
from polling import wait_until
from ports import free_ports

ECHO = "def handler(event, context):\n    return {'got': event}\n"


def test_an_invocation_becomes_a_span(function: Any, sink: Any) -> None:
    sandbox = function(ECHO, FAASIGHT_ENVIRONMENT="staging", OTEL_RESOURCE_ATTRIBUTES="team=shop")
    outcome = sandbox.invoke({"a": 1}, timeout_ms=500_000)
    assert (outcome.kind, outcome.body) == ("response", {"got": {"a": 1}}), sandbox.output()
    (span,) = sink.wait()
    assert span.name == "invoke"
    assert span.attributes | {"faasight.timeout_ms": 0, "faasight.memory_used": 0, "faasight.overhead_ms": 0} == {
        "faas.invocation_id": "00000000-0000-0000-0000-000000000001",
        "faas.coldstart": True,
        "faas.trigger": "other",
        "faasight.init_type": "on-demand",
        "faasight.source.ids": ["00000000-0000-0000-0000-000000000001"],
        "faasight.outcome": "ok",
        "faasight.timeout_ms": 0,
        "faasight.memory_used": 0,
        "faasight.overhead_ms": 0,
    }
    assert 400_000 < span.attributes["faasight.timeout_ms"] <= 500_000
    assert 1_000_000 < span.attributes["faasight.memory_used"] < 500_000_000
    assert span.resource | {"host.arch": ""} == {
        "service.name": "checkout",
        "faas.name": "checkout",
        "faas.version": "7",
        "faas.instance": "2026/01/01/[7]abc",
        "faas.max_memory": 268_435_456,
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "eu-central-1",
        "cloud.account.id": "123456789012",
        "deployment.environment.name": "staging",
        "process.runtime.name": "cpython",
        "process.runtime.version": "{}.{}.{}".format(*sys.version_info),
        "host.arch": "",
        "telemetry.sdk.name": "faasight",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": faasight.__version__,
        "team": "shop",
    }
    assert sandbox.output() == "", "nothing of ours is on stdout or stderr"


def test_the_cold_start_is_told_with_its_imports(function: Any, sink: Any, tmp_path: Path) -> None:
    """INIT hangs under the first invocation, before it in time; slow imports hang under INIT, nested as they ran."""
    (tmp_path / "outer_library.py").write_text("import inner_library\n")
    (tmp_path / "inner_library.py").write_text("import time\ntime.sleep(0.03)\n")
    sandbox = function(f"import sys\nsys.path.append({str(tmp_path)!r})\nimport outer_library\n{ECHO}")
    sandbox.invoke()
    sandbox.invoke()
    first, second = sorted(sink.wait(2), key=lambda span: span.raw.start_time_unix_nano)
    assert (first.attributes["faas.coldstart"], second.attributes["faas.coldstart"]) == (True, False)
    init, app = sink.named("INIT"), sink.named("import app")
    outer, inner = sink.named("import outer_library"), sink.named("import inner_library")
    chain = [inner, outer, app, init, first]
    assert [span.parent_id for span in chain[:-1]] == [span.span_id for span in chain[1:]]
    assert {span.trace_id for span in chain} == {first.trace_id}
    assert init.raw.end_time_unix_nano <= first.raw.start_time_unix_nano
    for child, parent in itertools.pairwise(chain[:4]):
        assert parent.raw.start_time_unix_nano <= child.raw.start_time_unix_nano
        assert child.raw.end_time_unix_nano <= parent.raw.end_time_unix_nano
    assert inner.attributes["faasight.import.self_ms"] >= 30
    assert outer.attributes["faasight.import.self_ms"] < inner.attributes["faasight.import.self_ms"]
    assert inner.attributes["faasight.import.module"] == "inner_library"
    assert init.attributes["faasight.phase"] == "init"
    assert init.attributes["faasight.overhead_ms"] > 0


def test_a_provisioned_sandbox_is_no_cold_start(function: Any, sink: Any) -> None:
    function(ECHO, AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency").invoke()
    (span,) = sink.wait()
    assert span.attributes["faas.coldstart"] is False
    assert span.attributes["faasight.init_type"] == "provisioned-concurrency"


def outcomes(function: Any, code: str, event: Any = None, **environment: str) -> tuple[Any, Any, Any]:
    """Run the same invocation bare and wrapped; return both outcomes and the wrapped sandbox."""
    bare = function(code, wrapped=False, **environment)
    wrapped = function(code, **environment)
    return bare.invoke(event), wrapped.invoke(event), wrapped


def test_an_exception_comes_back_as_it_is(function: Any, sink: Any) -> None:
    code = "class OutOfStock(Exception): pass\ndef handler(event, context):\n    raise OutOfStock('no more tea')\n"
    bare, wrapped, _ = outcomes(function, code)
    assert wrapped.kind == bare.kind == "error"
    assert {key: wrapped.body[key] for key in ("errorMessage", "errorType")} == {
        key: bare.body[key] for key in ("errorMessage", "errorType")
    }
    assert wrapped.body["stackTrace"][-1] == bare.body["stackTrace"][-1].replace("sandbox0", "sandbox1")
    (span,) = sink.wait()
    assert span.raw.status.code == 2
    assert span.raw.status.message == "no more tea"
    assert span.attributes["error.type"] == "app.OutOfStock"
    assert span.attributes["faasight.outcome"] == "error"
    (event,) = span.raw.events
    texts = {item.key: item.value.string_value for item in event.attributes}
    assert event.name == "exception"
    assert texts["exception.type"] == "app.OutOfStock"
    assert "raise OutOfStock('no more tea')" in texts["exception.stacktrace"]


def test_a_system_exit_ends_the_process_as_it_would(function: Any, sink: Any) -> None:
    bare, wrapped, _ = outcomes(function, "import sys\ndef handler(event, context):\n    sys.exit(7)\n")
    assert (wrapped.kind, wrapped.body) == (bare.kind, bare.body) == ("exit", 7)
    (span,) = sink.wait()
    assert span.attributes["error.type"] == "SystemExit"


def test_a_memory_error_is_out_of_memory(function: Any, sink: Any) -> None:
    function("def handler(event, context):\n    raise MemoryError\n").invoke()
    (span,) = sink.wait()
    assert span.attributes["faasight.outcome"] == "out_of_memory"


@pytest.mark.parametrize(
    "code",
    [
        "import no_such_module\n",
        "def handler(:\n",
        "raise ValueError('broken set-up')\n",
        "raise AttributeError('misread')\n",
        "def other(event, context): pass\n",
    ],
    ids=["import error", "syntax error", "exception", "attribute error", "no handler"],
)
def test_an_init_error_reads_as_it_would_without_us(function: Any, sink: Any, code: str) -> None:
    bare = function(code, wrapped=False).outcome()
    sandbox = function(code)
    wrapped = sandbox.outcome()
    assert wrapped.kind == bare.kind == "init error"
    assert wrapped.body["errorType"] == bare.body["errorType"]
    assert wrapped.body["errorMessage"] == bare.body["errorMessage"].replace("sandbox0", "sandbox1")
    from_sink = _wait_for_init(sink)
    assert from_sink.attributes["faasight.outcome"] == "init_error"
    assert from_sink.parent_id == ""
    assert from_sink.raw.status.code == 2
    assert from_sink.attributes["error.type"]


def _wait_for_init(sink: Any) -> Any:
    return wait_until(lambda: next((span for span in sink.spans() if span.name == "INIT"), None), "the INIT span came")


def test_a_time_out_is_reported_before_the_kill_and_once(function: Any, sink: Any) -> None:
    """The sandbox is killed at its limit, as the platform does; the report is there, with the call that hung."""
    code = (
        "import faasight, time\n"
        "def handler(event, context):\n"
        "    with faasight.span('slow work', item=3):\n"
        "        time.sleep(60)\n"
    )
    sandbox = function(code, FAASIGHT_TIMEOUT_MARGIN="1")
    sandbox.send(timeout_ms=3_000)
    (span,) = sink.wait()
    sandbox.process.send_signal(signal.SIGKILL)
    sandbox.process.wait(180)
    assert span.attributes["faasight.outcome"] == "timeout"
    assert span.attributes["error.type"] == "timeout"
    assert span.raw.status.code == 2
    assert span.raw.end_time_unix_nano - span.raw.start_time_unix_nano < 3_000_000_000
    work = sink.named("slow work")
    assert (work.parent_id, work.attributes["error.type"]) == (span.span_id, "timeout")
    assert len(sink.invocations()) == 1


def test_a_run_that_ends_just_before_its_limit_is_reported_once(function: Any, sink: Any, tmp_path: Path) -> None:
    """It ends when its time-out has been told of, which here nobody enforces."""
    told = tmp_path / "told"
    code = f"""import os, time
def handler(event, context):
    end = time.monotonic() + 180
    while event["wait"] and not os.path.exists({str(told)!r}) and time.monotonic() < end:
        time.sleep(0.01)
    return "done"
"""
    sandbox = function(code, FAASIGHT_TIMEOUT_MARGIN="1.5")
    sandbox.send({"wait": True}, timeout_ms=3_000)  # margin: half of the limit at most
    sink.wait(1)
    told.touch()
    assert sandbox.outcome().body == "done"
    assert sandbox.invoke({"wait": False}).body == "done"
    spans = sink.wait(2)
    assert sorted(span.attributes["faasight.outcome"] for span in spans) == ["ok", "timeout"]
    assert len(spans) == 2


def test_context_from_http_and_a_5xx_answer(function: Any, sink: Any) -> None:
    code = "def handler(event, context):\n    return {'statusCode': 503, 'body': 'busy'}\n"
    event = {
        "version": "2.0",
        "routeKey": "POST /orders",
        "headers": {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "faasight=f:web-shop"},
        "requestContext": {"apiId": "shop-api", "domainName": "x", "http": {"method": "POST", "path": "/orders"}},
    }
    outcome = function(code).invoke(event)
    assert outcome.body == {"statusCode": 503, "body": "busy"}
    (span,) = sink.wait()
    assert (span.name, span.trace_id, span.parent_id) == ("POST /orders", "a" * 32, "b" * 16)
    assert span.raw.trace_state == "faasight=f:web-shop"
    assert span.attributes["faasight.caller"] == "web-shop"
    assert span.attributes["http.response.status_code"] == 503
    assert span.attributes["faasight.outcome"] == "error"
    assert span.attributes["error.type"] == "503"
    assert span.raw.status.code == 2


def record(number: int, trace: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "body": "{}",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:r:1:order-queue",
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"},
        "messageAttributes": {
            "traceparent": {"stringValue": f"00-{trace}-{number:016x}-01", "dataType": "String"},
            "tracestate": {"stringValue": "faasight=f:checkout", "dataType": "String"},
        },
    }


def test_a_batch_of_one_trace_continues_it(function: Any, sink: Any) -> None:
    sandbox = function("def handler(event, context):\n    return {'batchItemFailures': [{'itemIdentifier': 'm2'}]}\n")
    sandbox.invoke({"Records": [record(1, "a" * 32), record(2, "a" * 32)]})
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id) == ("a" * 32, f"{1:016x}")
    assert [link.span_id.hex() for link in span.raw.links] == [f"{1:016x}", f"{2:016x}"]
    assert span.raw.kind == 5
    assert span.attributes["faasight.caller"] == "checkout"
    assert span.attributes["faasight.batch.failures"] == 1
    assert span.attributes["faasight.attempt"] == 1
    assert span.attributes["faasight.queue_wait_ms"] > 0


def test_a_batch_of_many_traces_starts_its_own_and_links_to_all(function: Any, sink: Any) -> None:
    function(ECHO).invoke({"Records": [record(1, "a" * 32), record(2, "b" * 32)]})
    (span,) = sink.wait()
    assert span.trace_id not in {"a" * 32, "b" * 32}
    assert span.parent_id == ""
    assert [link.trace_id.hex() for link in span.raw.links] == ["a" * 32, "b" * 32]


def test_a_batch_with_an_unknown_sender_starts_its_own(function: Any, sink: Any) -> None:
    function(ECHO).invoke({"Records": [record(1, "a" * 32), {**record(2, ""), "messageAttributes": {}}]})
    (span,) = sink.wait()
    assert span.parent_id == ""
    assert len(span.raw.links) == 1


def test_a_new_trace_takes_the_id_of_x_ray(function: Any, sink: Any) -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    function(ECHO).invoke(headers={"Lambda-Runtime-Trace-Id": header})
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id) == ("5759e988bd862e3fe1be46a994272793", "")


def test_a_direct_call_carries_its_context_in_the_client_context(function: Any, sink: Any) -> None:
    custom = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "faasight=f:checkout"}
    headers = {"Lambda-Runtime-Client-Context": json.dumps({"custom": custom})}
    function(ECHO).invoke(headers=headers)
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id) == ("a" * 32, "b" * 16)
    assert span.attributes["faasight.source.kind"] == "function"
    assert span.attributes["faasight.caller"] == "checkout"


def test_a_state_of_a_workflow_is_nearer_than_who_started_it(function: Any, sink: Any) -> None:
    custom = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "faasight=w:order-saga"}
    headers = {"Lambda-Runtime-Client-Context": json.dumps({"custom": custom})}
    starter = {"traceparent": f"00-{'a' * 32}-{'c' * 16}-01", "tracestate": "faasight=f:checkout"}
    function(ECHO).invoke(starter, headers=headers)
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id) == ("a" * 32, "b" * 16)
    assert (span.attributes["faasight.source.kind"], span.attributes["faasight.source.name"]) == (
        "workflow",
        "order-saga",
    )
    assert "faasight.caller" not in span.attributes


def test_a_collector_that_is_away_changes_nothing(function: Any) -> None:
    (port,) = free_ports(1)
    sandbox = function(ECHO, FAASIGHT_ENDPOINT=f"http://127.0.0.1:{port}")
    for number in range(3):
        outcome = sandbox.invoke({"n": number})
        assert outcome.body == {"got": {"n": number}}
        assert outcome.seconds < 20, "far from any connection time-out"
    assert sandbox.output().count("faasight: cannot send") == 1, "one line, not one an invocation"


def test_a_collector_that_hangs_changes_nothing(function: Any) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as hanging:
        endpoint = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        sandbox = function(ECHO, FAASIGHT_ENDPOINT=endpoint, FAASIGHT_CONFIRM="1", FAASIGHT_FLUSH_TIMEOUT="0.2")
        outcomes = [sandbox.invoke({"n": number}) for number in range(3)]
    assert [outcome.body for outcome in outcomes] == [{"got": {"n": number}} for number in range(3)]
    assert max(outcome.seconds for outcome in outcomes) < 20, "it would hang for ever"


def test_the_kill_switch_leaves_nothing_of_us(function: Any, sink: Any) -> None:
    code = "import sys, os\ndef handler(e, c):\n    return [os.environ.get('_HANDLER'), 'faasight' in sys.modules]\n"
    assert function(code, FAASIGHT_DISABLED="1").invoke().body == [None, False]
    assert sink.requests == []


def test_the_function_sees_its_own_handler_name(function: Any, sink: Any) -> None:
    code = "import os\nseen = os.environ['_HANDLER']\ndef handler(event, context):\n    return seen\n"
    assert function(code).invoke().body == "app.handler"


def test_a_freeze_between_invocations_loses_nothing(function: Any, sink: Any) -> None:
    sandbox = function(ECHO)
    for _ in range(3):
        sandbox.invoke()
        sandbox.process.send_signal(signal.SIGSTOP)
        sandbox.process.send_signal(signal.SIGCONT)
    assert len(sink.wait(3)) == 3


def test_the_handler_may_come_from_the_environment(tmp_path: Path) -> None:
    """AWS's own images run `bootstrap.py` without an argument, and the handler stands in _HANDLER."""
    wrapper = subprocess.run(
        [sys.executable, "-m", "faasight", "exec-wrapper"], capture_output=True, text=True, check=True
    ).stdout.strip()
    show = [
        sys.executable,
        "-c",
        "import os, sys; print(os.environ['_HANDLER'], os.environ['FAASIGHT_HANDLER'], sys.argv[1:])",
    ]
    run = subprocess.run(
        [wrapper, *show, "a b", ""],
        env={**os.environ, "_HANDLER": "app.handler"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "faasight.aws.handler app.handler ['a b', '']\n"


def test_each_cold_start_loads_nothing_heavy(function: Any, sink: Any) -> None:
    """What a plain function pays for: our own few modules, and the C parts of the standard library."""
    code = "import sys\nbefore = set(sys.modules)\ndef handler(event, context):\n    return sorted(sys.modules)\n"
    bare, wrapped, _ = outcomes(function, code)
    sink.wait()
    added = {name.partition(".")[0] for name in set(wrapped.body) - set(bare.body)}
    assert added <= {"faasight", "_socket", "_struct", "_contextvars", "contextvars", "resource"}
    banned = {"opentelemetry", "requests", "google", "asyncio", "ssl", "inspect", "dataclasses", "typing", "socket"}
    assert not banned & added


@pytest.mark.parametrize(("disabled", "told"), [("0", 1), ("1", 0)])
def test_an_init_error_is_not_told_when_we_are_disabled(function: Any, sink: Any, disabled: str, told: int) -> None:
    runtime = [sys.executable, "-m", "awslambdaric", "faasight.aws.handler"]
    sandbox = function(
        "import no_such_module\n", command=runtime, FAASIGHT_HANDLER="app.handler", FAASIGHT_DISABLED=disabled
    )
    assert sandbox.outcome().kind == "init error"
    sandbox.process.wait(180)
    assert sum(span.name == "INIT" for span in sink.spans()) == told, "a slow machine makes spans of imports too"


def most_faults(probe: Any) -> int:
    """Return the most page faults that 200 calls cost on top of a stack of some depth, each depth tried once."""

    def leaf() -> None:
        pass

    leaf.__code__ = leaf.__code__.replace(co_stacksize=100)  # larger than a frame of `at`: no depth passes it by

    def at(depth: int) -> int:
        if depth:
            return at(depth - 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(200):
            leaf()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    return max(probe(at, depth) for depth in range(200))


def test_what_a_function_imports_runs_in_one_piece_of_stack() -> None:
    """CPython from 3.11 on gives a loop on the border of two pieces a new piece with each call, and a fault with it."""

    def plainly(at: Any, depth: int) -> int:
        return at(depth)  # type: ignore[no-any-return]

    def roomily(at: Any, depth: int) -> int:
        return at(depth)  # type: ignore[no-any-return]

    with_room(roomily)
    assert roomily.__code__.co_stacksize > 16_384 / 8, "more than a piece holds: it gets one of its own"
    assert most_faults(roomily) < 100
    assert most_faults(plainly) >= 200 or sys.version_info >= (3, 12), "what it is for: newer ones may do without"
