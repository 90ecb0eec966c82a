"""Platform events as CloudWatch's lines."""

from faasight_emulator import report_lines

METRICS = {"durationMs": 12.345, "billedDurationMs": 113, "memorySizeMB": 256, "maxMemoryUsedMB": 41}


def test_the_lines_of_an_invocation() -> None:
    """START, END and REPORT have AWS's words; init and status stand there only if there is something to tell."""
    start = {"type": "platform.start", "record": {"requestId": "r", "version": "$LATEST"}}
    assert report_lines(start) == ["START RequestId: r Version: $LATEST"]
    record = {"requestId": "r", "status": "success", "metrics": METRICS}
    shown = (
        "REPORT RequestId: r\tDuration: 12.35 ms\tBilled Duration: 113 ms\tMemory Size: 256 MB\tMax Memory Used: 41 MB"
    )
    assert report_lines({"type": "platform.report", "record": record}) == ["END RequestId: r", shown]
    cold = {**record, "status": "timeout", "metrics": {**METRICS, "initDurationMs": 100.0}}
    assert report_lines({"type": "platform.report", "record": cold})[1] == (
        f"{shown}\tInit Duration: 100.00 ms\tStatus: timeout"
    )


def test_the_other_lines() -> None:
    """A failed init, a fault and a throttle are told; what Lambda keeps to itself is not."""
    init = {"status": "error", "errorType": "Runtime.ExitError", "phase": "init", "metrics": {"durationMs": 3.0}}
    assert report_lines({"type": "platform.initReport", "record": init}) == [
        "INIT_REPORT Init Duration: 3.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"
    ]
    assert report_lines({"type": "platform.initReport", "record": {**init, "status": "success"}}) == []
    assert report_lines({"type": "platform.fault", "record": "gone"}) == ["gone"]
    throttle = {"type": "platform.throttle", "record": {"requestId": "r", "reason": "Why"}}
    assert report_lines(throttle) == ["THROTTLE RequestId: r Reason: Why"]
    assert report_lines({"type": "platform.runtimeDone", "record": {}}) == []
