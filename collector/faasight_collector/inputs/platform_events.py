"""Lambda's platform events, of the Telemetry API and of logs in the JSON format, turned into lines of `records`.

Event types and fields: docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html.
"""

import re
from collections.abc import Mapping
from typing import Any

from faasight_collector.inputs.lines import Line, level_fields, number, text

REQUEST_ID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ID_IN_TEXT = re.compile(rf"RequestId: ({REQUEST_ID})")
_ERROR_TYPE = re.compile(r"\b(?:Runtime|Sandbox|Extension|Function|Init)\.\w+")

# Events with a row of their own; the others keep their name.
_KINDS = {
    "platform.start": "start",
    "platform.runtimeDone": "done",
    "platform.report": "report",
    "platform.initReport": "init",
    "platform.throttle": "throttle",
}
# What has no column, and is kept as an attribute under its name.
_DETAILS = (
    "phase",
    "runtimeVersion",
    "runtimeVersionArn",
    "instanceId",
    "producedBytes",
    "droppedRecords",
    "droppedBytes",
    "name",
    "state",
    "types",
    "events",
    "spans",
)
_METRIC_DETAILS = ("producedBytes", "restoreDurationMs", "billedRestoreDurationMs")


def platform_line(kind: str, record: object, ts: int) -> Line:
    """Return the line of one event of type `kind`, whatever its record looks like."""
    if kind == "platform.fault":
        return {"kind": "fault", "ts": ts, **fault(text(record))}
    details = record if isinstance(record, dict) else {}
    return {"kind": _KINDS.get(kind) or _snake(kind), "ts": ts, **_fields(kind, details)}


def dropped_line(record: object, ts: int) -> Line:
    """Return the log line that tells of lost telemetry."""
    details = record if isinstance(record, dict) else {}
    count, size, why = (text(details.get(key)) for key in ("droppedRecords", "droppedBytes", "reason"))
    message = f"the platform dropped {count or 'some'} log records ({size or '?'} bytes): {why}"
    return {"kind": "log", "ts": ts, "message": message, **level_fields("WARN")}


def fault(message: str) -> Line:
    """Read a text such as `RequestId: ... Error: Runtime exited with error: signal: killed Runtime.ExitError`."""
    request_id = _ID_IN_TEXT.search(message)
    error_types = _ERROR_TYPE.findall(message)
    return {
        "request_id": request_id[1] if request_id else "",
        "error_type": error_types[-1] if error_types else "",
        "message": message.strip(),
        "status": "failure",
        **level_fields("ERROR"),
    }


def _snake(kind: str) -> str:
    """platform.logsDropped -> logs_dropped."""
    name = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", kind.removeprefix("platform.")).lower().replace(".", "_")[:64]
    return name or "unknown"


def _fields(kind: str, record: Mapping[str, Any]) -> Line:
    metrics = record.get("metrics")
    measured: Mapping[str, Any] = metrics if isinstance(metrics, dict) else {}
    duration = number(measured.get("durationMs"))
    is_init = kind == "platform.initReport" or "initializationType" in record
    restore = number(measured.get("restoreDurationMs"))
    init_ms = number(measured.get("initDurationMs"))
    return {
        "function": text(record.get("functionName")),
        "request_id": text(record.get("requestId")),
        "version": text(record.get("version") or record.get("functionVersion")),
        "status": text(record.get("status")),
        "error_type": text(record.get("errorType")),
        "message": text(record.get("reason")),
        "duration_ms": None if is_init else duration,
        # What a caller waited for before the handler began: with SnapStart the restore.
        "init_ms": duration if is_init else restore if init_ms is None else init_ms,
        "billed_ms": number(measured.get("billedDurationMs")),
        "memory_mb": number(measured.get("memorySizeMB", record.get("instanceMaxMemory"))),
        "memory_used_mb": number(measured.get("maxMemoryUsedMB")),
        "init_type": text(record.get("initializationType")) or ("snap-start" if restore is not None else ""),
        "attributes": _attributes(record, measured),
    }


def _attributes(record: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, str]:
    """Return what has no column: the X-Ray header, the runtime, spans, counts of dropped logs and the like."""
    found = {key: text(record[key]) for key in _DETAILS if record.get(key) is not None}
    found.update({key: text(measured[key]) for key in _METRIC_DETAILS if measured.get(key) is not None})
    tracing = record.get("tracing")
    if isinstance(tracing, dict) and tracing.get("value"):
        found["tracing"] = text(tracing["value"])
    return found
