"""Platform events: the shapes that the Lambda Telemetry API documents, and the headers that say whose they are."""

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from faasight_emulator import Emulator, TooManyRequestsError
from polling import wait_until

Start = Callable[..., Emulator]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_events_of_a_cold_invocation(one: Start, sink: Any) -> None:
    """One cold invocation gives these events, in this order, with the documented fields."""
    emulator = one("talk", environment={"FAASIGHT_ENVIRONMENT": "staging"})
    request_id = emulator.invoke("f", {}).request_id
    sink.wait_for("f", "platform.report")
    events = [event for event in sink.events("f") if event["type"] != "function"]
    assert all(TIME.fullmatch(event["time"]) for event in events)
    assert [event["type"] for event in events] == [
        "platform.initStart",
        "platform.initRuntimeDone",
        "platform.initReport",
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    init_start, init_done, init_report, begun, done, report = (event["record"] for event in events)
    assert (init_start["initializationType"], init_start["phase"]) == ("on-demand", "init")
    assert (init_start["functionName"], init_start["functionVersion"]) == ("f", "$LATEST")
    assert init_start["instanceMaxMemory"] == 256 * 1024 * 1024
    assert init_start["runtimeVersion"].startswith("python:3.")
    assert init_done == {"initializationType": "on-demand", "phase": "init", "status": "success"}
    assert init_report == {**init_done, "metrics": init_report["metrics"]}
    assert init_report["metrics"].keys() == {"durationMs"}
    assert begun.keys() == {"requestId", "version", "tracing"}
    assert begun["requestId"] == done["requestId"] == report["requestId"] == request_id
    assert begun["tracing"]["type"] == "X-Amzn-Trace-Id"
    assert done["status"] == report["status"] == "success"
    assert [span["name"] for span in done["spans"]] == ["responseLatency", "responseDuration", "runtimeOverhead"]
    assert done["metrics"]["producedBytes"] == len("null")
    metrics = report["metrics"]
    assert metrics.keys() == {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"}
    assert metrics["memorySizeMB"] == 256
    assert 10 < metrics["maxMemoryUsedMB"] < 256
    assert metrics["initDurationMs"] == init_report["metrics"]["durationMs"]
    assert isinstance(metrics["billedDurationMs"], int)


def test_headers(one: Start, sink: Any) -> None:
    """Every post says function, version, account, region, memory, environment and sandbox."""
    emulator = one("count", region="eu-west-1", environment={"FAASIGHT_ENVIRONMENT": "staging"})
    emulator.invoke("f", {})
    sink.wait_for("f", "platform.report")
    headers = sink.posts[0][1]
    assert headers["X-Faasight-Function"] == "f"
    assert headers["X-Faasight-Version"] == "$LATEST"
    assert headers["X-Faasight-Account"] == "123456789012"
    assert headers["X-Faasight-Region"] == "eu-west-1"
    assert headers["X-Faasight-Memory-MB"] == "256"
    assert headers["X-Faasight-Environment"] == "staging"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", headers["X-Faasight-Instance"])


def test_a_sandbox_posts_apart_from_another(start: Start, sink: Any) -> None:
    """Events of two functions never share a post: the headers speak for all of it."""
    emulator = start("""
  A: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  B: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
""")
    emulator.invoke("a", {})
    emulator.invoke("b", {})
    for name in ("a", "b"):
        records = sink.wait_for(name, "platform.initStart")
        assert [record["functionName"] for record in records] == [name]


def test_events_agree_with_the_counts(start: Start, sink: Any) -> None:
    """Under forty invocations at once, of functions that fail in every way, the events tell what the counts know."""
    head = "{Type: AWS::Serverless::Function, Properties: {Handler: app"
    emulator = start(f"""
  Good: {head}.count}}}}
  Bad: {head}.fail}}}}
  Gone: {head}.leave}}}}
  Late: {head}.sleep, Timeout: 1}}}}
  Full: {head}.sleep, ReservedConcurrentExecutions: 1}}}}
""")
    calls: list[tuple[str, Any]] = [("good", {}), ("bad", {}), ("gone", {"code": 1}), ("late", {"seconds": 9})]
    calls = [*calls * 5, ("good", {})] * 2 + [("full", {"seconds": 0.3})] * 6

    def call(function: str, event: Any) -> str:
        try:
            return emulator.invoke(function, event).status
        except TooManyRequestsError:
            return "throttle"

    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(lambda one: f"{one[0]} {call(*one)}", calls))
    counts = emulator.counts()
    wait_until(
        lambda: (
            sum(len(sink.events(name, "platform.report")) for name in counts) == len(calls) - counts["full"].throttles
        ),
        "every invocation has its report",
    )
    for name, count in counts.items():
        reports = [event["record"] for event in sink.events(name, "platform.report")]
        statuses = Counter(report["status"] for report in reports)
        assert len(reports) == len({report["requestId"] for report in reports}) == count.invocations
        assert len(sink.events(name, "platform.start")) == count.invocations
        phases = Counter(event["record"]["phase"] for event in sink.events(name, "platform.initReport"))
        assert sum("initDurationMs" in report["metrics"] for report in reports) == phases["init"]
        assert phases["init"] + phases["invoke"] == count.cold_starts, "what was killed runs its init in an invocation"
        assert len(sink.events(name, "platform.initReport")) == count.cold_starts
        assert statuses["timeout"] == count.timeouts == outcomes[f"{name} timeout"]
        assert statuses["success"] == count.invocations - count.errors == outcomes[f"{name} success"]
        assert len(sink.events(name, "platform.throttle")) == count.throttles == outcomes[f"{name} throttle"]
    assert (counts["good"].invocations, counts["bad"].errors, counts["gone"].errors) == (12, 10, 10)
    assert (counts["late"].timeouts, counts["full"].invocations + counts["full"].throttles) == (10, 6)
