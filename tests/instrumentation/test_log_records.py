"""Log lines to the collector, by choice: as OpenTelemetry's own protobuf reads them, and never instead of stdout."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import faasight
import pytest
from faasight import logs
from faasight.agent import Agent
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from polling import wait_until


def pairs(attributes: Any) -> dict[str, Any]:
    """Return OTLP attributes as a dict; no key is there twice."""
    found = {item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in attributes}
    assert len(found) == len(attributes)
    return found


def records(sink: Any) -> list[tuple[dict[str, Any], LogRecord]]:
    """Return what came, each with its resource."""
    return [
        (pairs(group.resource.attributes), record)
        for path, _, body in sink.requests.copy()
        if path == "/v1/logs"
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


def arrived(sink: Any, count: int) -> list[tuple[dict[str, Any], LogRecord]]:
    """Wait for so many: a flush does not wait for its answer."""
    wait_until(lambda: len(records(sink)) >= count, f"{count} log records came", every_s=0.01)
    return records(sink)


@pytest.fixture
def sending(sink: Any, new_agent: Callable[..., Agent]) -> Iterator[Agent]:
    """Make an agent that takes log lines, and put `logging` back."""
    original = logging.Logger.callHandlers
    agent = new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_SEND_LOGS="1", FAASIGHT_FLUSH_TIMEOUT="5")
    agent._send_logs()
    yield agent
    logs.forward = None
    logging.Logger.callHandlers = original  # type: ignore[method-assign]


def test_a_record_is_whole(sending: Agent, sink: Any) -> None:
    """Every field, decoded officially; secrets are hidden; the trace is the invocation's."""

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        logging.getLogger("shop").warning("stock of %s is low", "tea", extra={"left": 3, "password": "hunter2"})
        try:
            raise KeyError("no such order")
        except KeyError:
            logging.getLogger("shop").exception("failed")

    handler({}, None)
    (span,) = sink.wait()
    (resource, low), (_, failed) = arrived(sink, 2)
    assert resource == span.resource
    assert (low.body.string_value, low.severity_text) == ("stock of tea is low", "WARN")
    assert low.severity_number == SeverityNumber.SEVERITY_NUMBER_WARN
    assert (low.trace_id.hex(), low.span_id.hex(), low.flags) == (span.trace_id, span.span_id, 1)
    assert span.raw.start_time_unix_nano <= low.time_unix_nano <= span.raw.end_time_unix_nano
    assert low.observed_time_unix_nano == low.time_unix_nano
    attributes = pairs(low.attributes)
    assert attributes.pop("password") != "hunter2"
    assert attributes == {
        "logger": "shop",
        "faas.invocation_id": span.attributes["faas.invocation_id"],
        "cold_start": True,
        "left": 3,
    }
    error = pairs(failed.attributes)
    assert (error["exception.type"], error["exception.message"]) == ("KeyError", "'no such order'")
    assert "in handler" in error["exception.stacktrace"]
    assert b"hunter2" not in b"".join(body for _, _, body in sink.requests)


def test_what_is_nested_reads_as_on_stdout(sending: Agent, sink: Any, capsys: Any) -> None:
    import structlog

    structlog.reset_defaults()
    extra: dict[str, Any] = {
        "cart": {"n": 3, "password": "hunter2"},
        "items": [{"id": 1}, [2]],
        "empty": {},
        "tags": ["a", "b"],
    }
    faasight.get_logger("shop").info("nested", **extra)
    faasight.flush()
    ((_, record),) = arrived(sink, 1)
    told, printed = pairs(record.attributes), json.loads(capsys.readouterr().out)
    assert [value.string_value for value in told.pop("tags").values] == printed["tags"] == ["a", "b"]
    assert {key: json.loads(told[key]) for key in ("cart", "items", "empty")} == {
        "cart": {"n": 3, "password": "***"},
        "items": [{"id": 1}, [2]],
        "empty": {},
    }


def test_structlog_and_lines_outside_an_invocation(sending: Agent, sink: Any, capsys: Any) -> None:
    import structlog

    structlog.reset_defaults()
    faasight.get_logger("shop").info("at import", order=7)
    faasight.flush()
    ((_, record),) = arrived(sink, 1)
    assert (record.body.string_value, record.severity_text, record.trace_id) == ("at import", "INFO", b"")
    assert pairs(record.attributes) == {"logger": "shop", "order": 7}
    assert json.loads(capsys.readouterr().out)["message"] == "at import", "and on stdout as ever"


def test_what_cannot_be_read_or_encoded_costs_no_other_line(sending: Agent, sink: Any) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("bad")

    logger = logging.getLogger("hostile")
    logger.propagate, logger.level = False, logging.INFO
    logger.addHandler(logging.NullHandler())
    for arguments in (("%d", "no number"), (Bad(),), ("\ud800",), ("x" * 1_000_000,), (None,), ("%s", Bad())):
        logger.info(*arguments)
    logger.info("keys", extra={"a": Bad(), "\ud800": float("nan"), "deep": {"b": [1, {2: 3}]}})
    logger.info("the last")
    faasight.flush()
    came = [record.body.string_value for _, record in arrived(sink, 5)]
    assert came[-1] == "the last"
    assert max(map(len, came)) <= 16_384


def test_many_lines_leave_before_the_end(sending: Agent, sink: Any) -> None:
    """10,000 lines of one invocation: all come, none twice, and none waits in memory beyond a quarter of a MiB."""

    @faasight.observe
    def handler(event: Any, context: Any) -> int:
        for number in range(10_000):
            logging.getLogger("many").warning("line %d", number)
        return len(records(sink))

    assert handler({}, None) > 5_000
    assert [record.body.string_value for _, record in arrived(sink, 10_000)] == [f"line {n}" for n in range(10_000)]


def test_a_child_process_sends_its_own_lines_alone(sending: Agent, sink: Any) -> None:
    kept = sending._records
    assert kept is not None
    logging.getLogger("parent").warning("the parent's")
    kept.reset()  # what the child does first
    logging.getLogger("child").warning("the child's")
    faasight.flush()
    assert [record.body.string_value for _, record in arrived(sink, 1)] == ["the child's"]


CODE = """
import logging, sys
import faasight

logging.basicConfig(stream=sys.stdout, format="%(message)s")

@faasight.observe
def handler(event, context):
    logging.warning("once")

handler({}, None)
"""


@pytest.mark.parametrize("send", ["0", "1"])
def test_without_a_collector_each_line_is_on_stdout_once(send: str) -> None:
    """The fallback writes spans; a line is there already."""
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "FAASIGHT_ENDPOINT": "http://127.0.0.1:9", "FAASIGHT_SEND_LOGS": send},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert lines[0] == "once"
    assert [json.loads(line)["faasight.otlp"] for line in lines[1:]] == ["traces"]


def test_nothing_is_sent_unless_it_is_chosen(sink: Any) -> None:
    environment = {**os.environ, "FAASIGHT_ENDPOINT": sink.endpoint}
    subprocess.run([sys.executable, "-c", CODE], env=environment, check=True, capture_output=True)
    sink.wait()
    assert records(sink) == []


def test_the_official_exporter_says_that_it_does_not(sink: Any) -> None:
    environment = {"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_EXPORTER": "otlp", "FAASIGHT_SEND_LOGS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", CODE], env={**os.environ, **environment}, check=True, capture_output=True, text=True
    )
    assert "FAASIGHT_SEND_LOGS=1 needs FAASIGHT_EXPORTER=builtin" in run.stderr
