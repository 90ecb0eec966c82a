"""Platform events as the lines of text that CloudWatch and `sam local invoke` show: START, END, REPORT, INIT_REPORT."""

from typing import Any

from faasight_emulator.platform import Event


def report_lines(event: Event) -> list[str]:
    """Return the lines that Lambda writes for a platform event; none for those that it keeps to itself."""
    kind, record = event["type"], event["record"]
    match kind:
        case "platform.start":
            return [f"START RequestId: {record['requestId']} Version: {record['version']}"]
        case "platform.report":
            return [f"END RequestId: {record['requestId']}", _report(record)]
        case "platform.initReport" if record["status"] != "success":
            return [_init_report(record)]
        case "platform.fault":
            return [str(record)]
        case "platform.throttle":
            return [f"THROTTLE RequestId: {record['requestId']} Reason: {record['reason']}"]
        case _:
            return []


def _report(record: dict[str, Any]) -> str:
    metrics = record["metrics"]
    parts = [
        f"REPORT RequestId: {record['requestId']}",
        f"Duration: {metrics['durationMs']:.2f} ms",
        f"Billed Duration: {metrics['billedDurationMs']} ms",
        f"Memory Size: {metrics['memorySizeMB']} MB",
        f"Max Memory Used: {metrics['maxMemoryUsedMB']} MB",
    ]
    if "initDurationMs" in metrics:
        parts.append(f"Init Duration: {metrics['initDurationMs']:.2f} ms")
    return "\t".join([*parts, *_status(record)])


def _init_report(record: dict[str, Any]) -> str:
    took = record["metrics"]["durationMs"]
    return "\t".join([f"INIT_REPORT Init Duration: {took:.2f} ms", f"Phase: {record['phase']}", *_status(record)])


def _status(record: dict[str, Any]) -> list[str]:
    if record["status"] == "success":
        return []
    return [f"Status: {record['status']}", *([f"Error Type: {record['errorType']}"] if "errorType" in record else [])]
