"""Batches of the AWS Lambda Telemetry API turned into lines of `records`.

Event types and fields: docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from faasight_collector.errors import Refusal
from faasight_collector.inputs.json_logs import log_line
from faasight_collector.inputs.lines import Line, encode, level_fields, number, text, time_ns

# Who posts the batch says whose sandbox it sits in: events themselves do not name their function.
_HEADERS = {
    b"x-faasight-function": "function",
    b"x-faasight-version": "version",
    b"x-faasight-account": "account",
    b"x-faasight-region": "region",
    b"x-faasight-environment": "environment",
    b"x-faasight-instance": "instance",
}
_DIGITS = 10  # of a memory size in MB; more is no size
_REQUEST_ID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# [LEVEL]\ttime\trequest id\tmessage: the Python runtime's text format.
_PYTHON_TEXT = re.compile(rf"\[(\w+)\]\t(\S+Z)\t({_REQUEST_ID})\t(.*)", re.DOTALL)
# time\trequest id\tLEVEL\tmessage: the Node.js runtime's.
_NODE_TEXT = re.compile(rf"(\S+Z)\t({_REQUEST_ID})\t(\w+)\t(.*)", re.DOTALL)
_LEVEL_TEXT = re.compile(r"\[(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\]\s")
# The platform's own text lines; its events say the same.
_PLATFORM_TEXT = re.compile(r"(START|END|REPORT) RequestId: |INIT_START Runtime Version: ")
_ID_IN_TEXT = re.compile(rf"RequestId: ({_REQUEST_ID})")
_ERROR_TYPE = re.compile(r"\b(?:Runtime|Sandbox|Extension|Function|Init)\.\w+")


def to_records(body: bytes, headers: Mapping[bytes, bytes], now_ns: int) -> bytes:
    """Return the journal payload of a batch. Raises Refusal (400) if it is no array of events."""
    try:
        events = orjson.loads(body)
    except ValueError as error:
        raise Refusal("corrupt_json", f"the batch is not valid JSON: {error}") from error
    if not isinstance(events, list):
        raise Refusal("corrupt_json", "the batch is not a JSON array of events")
    owner = _owner(headers)
    lines = []
    for position, event in enumerate(events, start=1):
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise Refusal("corrupt_json", f"event {position} is not an object with a type")
        line = _line(event, now_ns)
        if line is not None:
            lines.append({**owner, **{key: value for key, value in line.items() if value not in (None, "")}})
    return encode(lines)


def _owner(headers: Mapping[bytes, bytes]) -> Line:
    owner: Line = {name: headers[header].decode("latin-1") for header, name in _HEADERS.items() if header in headers}
    memory = headers.get(b"x-faasight-memory-mb", b"")
    if memory.isdigit() and len(memory) < _DIGITS:
        owner["memory_mb"] = int(memory)
    return owner


def _line(event: Mapping[str, Any], now_ns: int) -> Line | None:
    """Return the line of one event, or None if it says nothing new."""
    kind, record, ts = event["type"], event.get("record"), time_ns(event.get("time"), now_ns)
    if kind in {"function", "extension"}:
        line = _log(record, ts)
        if line is not None and kind == "extension":
            line["attributes"] = {**line.get("attributes", {}), "aws.log.type": "extension"}
        return line
    if kind == "platform.fault":
        return {"kind": "fault", "ts": ts, **_fault(text(record))}
    details = record if isinstance(record, dict) else {}
    return {"kind": _KINDS.get(kind, _snake(kind)), "ts": ts, **_platform(details)}


_KINDS = {
    "platform.start": "start",
    "platform.runtimeDone": "done",
    "platform.report": "report",
    "platform.initReport": "init",
    "platform.throttle": "throttle",
}


def _snake(kind: str) -> str:
    """platform.logsDropped -> logs_dropped."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", kind.removeprefix("platform.")).lower().replace(".", "_")[:64]


def _platform(record: Mapping[str, Any]) -> Line:
    metrics = record.get("metrics")
    measured: Mapping[str, Any] = metrics if isinstance(metrics, dict) else {}
    tracing = record.get("tracing")
    is_init = "initializationType" in record
    duration = number(measured.get("durationMs"))
    return {
        "request_id": text(record.get("requestId")),
        "version": text(record.get("version") or record.get("functionVersion")),
        "status": text(record.get("status")),
        "error_type": text(record.get("errorType")),
        "message": text(record.get("reason")),
        "duration_ms": None if is_init else duration,
        "init_ms": duration if is_init else number(measured.get("initDurationMs")),
        "billed_ms": number(measured.get("billedDurationMs")),
        "memory_mb": number(measured.get("memorySizeMB")),
        "memory_used_mb": number(measured.get("maxMemoryUsedMB")),
        "init_type": text(record.get("initializationType")),
        "attributes": _details(record, tracing if isinstance(tracing, dict) else {}),
    }


def _details(record: Mapping[str, Any], tracing: Mapping[str, Any]) -> dict[str, str]:
    """Return what has no column: the X-Ray header, the runtime, counts of dropped logs and the like."""
    named = (
        "phase",
        "runtimeVersion",
        "runtimeVersionArn",
        "producedBytes",
        "droppedRecords",
        "droppedBytes",
        "name",
        "state",
    )
    found = {key: text(record[key]) for key in named if record.get(key) is not None}
    if tracing.get("value"):
        found["tracing"] = text(tracing["value"])
    return found


def _fault(message: str) -> Line:
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


def _log(record: object, ts: int) -> Line | None:
    if isinstance(record, dict):
        return log_line(record, ts)
    message = text(record).rstrip("\n")
    if message.startswith("{"):
        try:
            return log_line(orjson.loads(message), ts)
        except ValueError:
            pass  # a text that begins like JSON
    return _text_line(message, ts)


def _text_line(message: str, ts: int) -> Line | None:
    if _PLATFORM_TEXT.match(message):
        return None
    level, request_id = "INFO", ""
    if found := _PYTHON_TEXT.match(message):
        level, when, request_id, message = found.groups()
        ts = time_ns(when, ts)
    elif found := _NODE_TEXT.match(message):
        when, request_id, level, message = found.groups()
        ts = time_ns(when, ts)
    elif found := _LEVEL_TEXT.match(message):
        level = found[1]
    return {"kind": "log", "ts": ts, "request_id": request_id, "message": message, **level_fields(level)}
