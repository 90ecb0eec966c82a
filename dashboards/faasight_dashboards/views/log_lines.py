"""Log lines on their way out: to the browser's list, and to a file."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import orjson
from faasight_store.types import LogRow

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that starts so is run by spreadsheets
_COLUMNS = ("timestamp", "level", "function", "message", "request_id", "trace_id", "span_id", "attributes")


def lines(rows: Sequence[LogRow]) -> list[dict[str, Any]]:
    """Return lines as assets/clientside/log_row.js draws them; `ts` is in milliseconds since the epoch."""
    return [
        {
            "ts": row.ts_ns // 1_000_000,
            "level": row.level,
            "function": row.function,
            "message": row.message,
            "request_id": row.request_id,
            "trace_id": row.trace_id,
            "span_id": row.span_id,
            "attributes": dict(row.attributes),
        }
        for row in rows
    ]


def ndjson(rows: Sequence[LogRow]) -> str:
    """Return one JSON object a line."""
    return "".join(orjson.dumps(_record(row)).decode() + "\n" for row in rows)


def comma_separated(rows: Sequence[LogRow]) -> str:
    """Return CSV with a head. Cells that a spreadsheet would run as a formula get an apostrophe before them."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        record = _record(row)
        record["attributes"] = orjson.dumps(record["attributes"]).decode()
        writer.writerow([_harmless(str(record[name])) for name in _COLUMNS])
    return out.getvalue()


def _record(row: LogRow) -> dict[str, Any]:
    return {
        "timestamp": row.ts.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": row.level,
        "function": row.function,
        "message": row.message,
        "request_id": row.request_id,
        "trace_id": row.trace_id,
        "span_id": row.span_id,
        "attributes": dict(row.attributes),
    }


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
