"""The platform's own lines in a function's log stream, START, END, REPORT and the like, turned into lines of `records`.

Format: docs.aws.amazon.com/lambda/latest/dg/python-logging.html ("Default log format"): fields separated by tabs, and
what does not apply is left out: `Status` when all went well, `Init Duration` of a warm sandbox.
"""

import re
from collections.abc import Callable, Mapping

from faasight_collector.inputs.lines import Line, level_fields
from faasight_collector.inputs.platform_events import REQUEST_ID, fault

_PREFIX = re.compile(
    r"(?:START|END|REPORT) RequestId: |(?:INIT|RESTORE)_(?:START|REPORT) |(?:LOGS|EXTENSION|TELEMETRY)\tName: "
)
_START = re.compile(rf"START RequestId: ({REQUEST_ID})(?: Version: (\S+))?")
_REPORT = re.compile(rf"REPORT RequestId: ({REQUEST_ID})\s+(.*)", re.DOTALL)
_NAMED = re.compile(r"(?:INIT|RESTORE)_(?:START|REPORT) (.*)", re.DOTALL)
# Fields are separated by tabs; some tools print them with single spaces, so a field is known by its name.
_FIELD = re.compile(
    r"(?:(?<=[\t\n ])|^)(Duration|Billed Duration|Memory Size|Max Memory Used|Init Duration|Restore Duration|"
    r"Billed Restore Duration|Status|Error Type|Phase|XRAY TraceId|SegmentId|Sampled|Runtime Version ARN|"
    r"Runtime Version): *"
)
_TIMED_OUT = re.compile(rf"(?:\S+Z )?({REQUEST_ID}) Task timed out after ([0-9.]{{1,20}}) seconds")
_EXITED = re.compile(rf"(?:\S+Z )?(?:RequestId: )?{REQUEST_ID} (?:Error: |Process exited before completing request)")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")


def is_platform_text(message: str) -> bool:
    """Tell whether a line is the platform's own, and says no more than one of its events."""
    return _PREFIX.match(message) is not None


def platform_text(message: str, ts: int) -> list[Line] | None:
    """Return what a line of the platform says (END says nothing new), or None if it is not the platform's."""
    if _PREFIX.match(message):
        word = message.split(None, 1)[0]
        read = _READERS.get(word)
        return read(message, ts) if read else []
    if timed_out := _TIMED_OUT.match(message):
        return _timed_out(message, ts, timed_out)
    if _EXITED.match(message):
        found = fault(message.replace("\n", " "))
        found["request_id"] = found["request_id"] or _any_id(message)
        return [{"kind": "fault", "ts": ts, **found}, _shown(message, ts, found["request_id"])]
    return None


def _any_id(message: str) -> str:
    found = re.search(REQUEST_ID, message)
    return found[0] if found else ""


def _fields(rest: str) -> dict[str, str]:
    """Return the fields of a line by name: of `Duration: 3.2 ms`, a tab, `Billed Duration: 4 ms`."""
    found = list(_FIELD.finditer(rest))
    ends = [match.start() for match in found[1:]] + [len(rest)]
    return {match[1]: rest[match.end() : end].strip() for match, end in zip(found, ends, strict=False)}


def _number(value: str | None) -> float | None:
    found = _NUMBER.match(value or "")
    return float(found[0]) if found else None


def _start(message: str, ts: int) -> list[Line]:
    found = _START.match(message)
    return [{"kind": "start", "ts": ts, "request_id": found[1], "version": found[2] or ""}] if found else []


def _report(message: str, ts: int) -> list[Line]:
    found = _REPORT.match(message)
    if found is None:
        return []
    fields = _fields(found[2])
    restore = _number(fields.get("Restore Duration"))
    init_ms = _number(fields.get("Init Duration"))
    return [
        {
            "kind": "report",
            "ts": ts,
            "request_id": found[1],
            "status": fields.get("Status", ""),
            "error_type": fields.get("Error Type", ""),
            "duration_ms": _number(fields.get("Duration")),
            "billed_ms": _number(fields.get("Billed Duration")),
            "memory_mb": _number(fields.get("Memory Size")),
            "memory_used_mb": _number(fields.get("Max Memory Used")),
            "init_ms": restore if init_ms is None else init_ms,
            "init_type": "snap-start" if restore is not None else "",
            "attributes": _details(fields),
        }
    ]


def _details(fields: Mapping[str, str]) -> dict[str, str]:
    """Return what has no column, under the names that the Telemetry API has for it."""
    found: dict[str, str] = {}
    for name, attribute in _DURATIONS.items():
        if (value := _number(fields.get(name))) is not None:
            found[attribute] = f"{value:g}"
    for name, attribute in _NAMES.items():
        if fields.get(name):
            found[attribute] = fields[name]
    if trace := fields.get("XRAY TraceId"):
        parts = [f"Root={trace}", f"Parent={fields['SegmentId']}" if fields.get("SegmentId") else ""]
        parts.append(f"Sampled={int(fields['Sampled'] == 'true')}" if fields.get("Sampled") else "")
        found["tracing"] = ";".join(part for part in parts if part)
    return found


_DURATIONS = {"Restore Duration": "restoreDurationMs", "Billed Restore Duration": "billedRestoreDurationMs"}
_NAMES = {"Phase": "phase", "Runtime Version": "runtimeVersion", "Runtime Version ARN": "runtimeVersionArn"}


def _init(message: str, ts: int) -> list[Line]:
    found = _NAMED.match(message)
    fields = _fields(found[1]) if found else {}
    kinds = {"INIT_REPORT": "init", "INIT_START": "init_start"}
    word = message.split(None, 1)[0]
    duration = fields.get("Init Duration") or fields.get("Restore Duration")
    return [
        {
            "kind": kinds.get(word) or word.lower(),
            "ts": ts,
            "status": fields.get("Status", ""),
            "error_type": fields.get("Error Type", ""),
            "init_ms": _number(duration) if word == "INIT_REPORT" else None,
            "duration_ms": _number(duration) if word == "RESTORE_REPORT" else None,
            "attributes": _details({name: value for name, value in fields.items() if "Duration" not in name}),
        }
    ]


def _timed_out(message: str, ts: int, found: re.Match[str]) -> list[Line]:
    shown = _shown(message, ts, found[1])
    told = {**shown, "kind": "fault", "status": "timeout", "error_type": "Sandbox.Timedout"}
    return [told, shown]


def _shown(message: str, ts: int, request_id: str) -> Line:
    """Return the line as one of the function's log: it is what people search for."""
    return {"kind": "log", "ts": ts, "request_id": request_id, "message": message.strip(), **level_fields("ERROR")}


_READERS: dict[str, Callable[[str, int], list[Line]]] = {
    "START": _start,
    "REPORT": _report,
    "INIT_START": _init,
    "INIT_REPORT": _init,
    "RESTORE_START": _init,
    "RESTORE_REPORT": _init,
}
