"""Log lines on their way out, the volume's bars, and what a wrong query is told."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from components import texts
from dash import html
from dash.development.base_component import Component
from faasight_dashboards.figures.log_volume import log_volume
from faasight_dashboards.views.log_lines import comma_separated, lines, ndjson
from faasight_dashboards.views.query_error import query_error
from faasight_store import QueryError
from faasight_store.queries.log_query import to_sql
from faasight_store.types import LogRow, LogVolume

AT = datetime(2026, 11, 21, 8, 0, 0, 123000, tzinfo=UTC)
ROW = LogRow(
    AT,
    int(AT.timestamp() * 1000) * 1_000_000,
    "ERROR",
    "payment",
    "it broke",
    "r-1",
    "a" * 32,
    "b" * 16,
    {"order": "7"},
    5,
)


def test_lines_carry_milliseconds_and_everything_known() -> None:
    (line,) = lines([ROW])
    assert line == {
        "ts": 1795248000123,
        "level": "ERROR",
        "function": "payment",
        "message": "it broke",
        "request_id": "r-1",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "attributes": {"order": "7"},
    }


def test_ndjson_is_one_object_a_line() -> None:
    first, second = (json.loads(text) for text in ndjson([ROW, ROW]).splitlines())
    assert first == second
    assert first["timestamp"] == "2026-11-21T08:00:00.123Z"
    assert first["attributes"] == {"order": "7"}


def test_csv_reads_back() -> None:
    odd = LogRow(AT, ROW.ts_ns, "INFO", "payment", 'quotes ", commas,\nlines', "", "", "", {})
    (row,) = csv.DictReader(io.StringIO(comma_separated([odd])))
    assert row["message"] == odd.message
    assert row["attributes"] == "{}"


@pytest.mark.parametrize("formula", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx"])
def test_csv_cells_never_run_as_formulas(formula: str) -> None:
    hostile = LogRow(AT, ROW.ts_ns, "INFO", formula, formula, "", "", "", {})
    (row,) = csv.DictReader(io.StringIO(comma_separated([hostile])))
    assert row["message"] == f"'{formula}"
    assert row["function"] == f"'{formula}"


def test_bars_are_stacked_with_errors_on_top() -> None:
    volume = LogVolume([AT, AT + timedelta(minutes=1)], 60.0, {"ERROR": [1, 2], "INFO": [5, 6]}, 14)
    figure = log_volume(volume, timezone(timedelta(hours=2)))
    assert [bar["name"] for bar in figure["data"]] == ["Info", "Debug", "Warn", "Error"]
    assert figure["data"][-1]["y"] == [1, 2]
    assert figure["data"][1]["y"] == [0, 0]
    assert figure["data"][0]["x"][0] == "2026-11-21 10:00:00.123"
    assert figure["layout"]["barmode"] == "stack"


def mark_of(query: str) -> tuple[str, str]:
    """Return what a wrong query is told, and the part of it that is marked."""
    with pytest.raises(QueryError) as caught:
        to_sql(query)
    shown = query_error(caught.value, query)
    marks = [part.children for part in _walk(shown) if isinstance(part, html.Mark)]
    assert len(marks) == 1
    return texts(shown)[1], str(marks[0])


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ('function:pay "not closed', '"not'),
        ("level:loud", "level:loud"),
        ("duration_ms:>fast x", "duration_ms:>fast"),
        ("a level:", " "),
    ],
)
def test_a_wrong_query_is_shown_its_place(query: str, marked: str) -> None:
    told, mark = mark_of(query)
    assert told
    assert mark == marked


def test_an_error_without_a_place_marks_nothing() -> None:
    assert not [part for part in _walk(query_error(QueryError("too long"), "x")) if isinstance(part, html.Mark)]


def _walk(component: object) -> list[Component]:
    if isinstance(component, (list, tuple)):
        return [found for child in component for found in _walk(child)]
    if not isinstance(component, Component):
        return []
    return [component, *_walk(getattr(component, "children", None))]
