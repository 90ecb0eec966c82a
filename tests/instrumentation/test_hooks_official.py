"""OpenTelemetry's own instrumentations by name, in a real function."""

from pathlib import Path
from typing import Any

import pytest

CODE = """
import sqlite3
def handler(event, context):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a)")
    cursor = connection.cursor()
    cursor.execute("SELECT 1 FROM t")
    return cursor.fetchall()
"""


# A stand-in for opentelemetry-instrumentation-sqlite3, whose latest release pins another SDK than ours: its entry point
# is real, and so is the OpenTelemetry API that it calls.
STAND_IN = """
import sqlite3
from opentelemetry import trace
class Instrumentor:
    def instrument(self):
        tracer, connect = trace.get_tracer("official.sqlite3"), sqlite3.connect
        class Cursor(sqlite3.Cursor):
            def execute(self, sql):
                with tracer.start_as_current_span("official", kind=trace.SpanKind.CLIENT):
                    return super().execute(sql)
        class Connection(sqlite3.Connection):
            def cursor(self):
                return super().cursor(Cursor)
        sqlite3.connect = lambda name: connect(name, factory=Connection)
"""


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """Install the stand-in into a folder of its own, and return it."""
    site = tmp_path / "site"
    about = site / "opentelemetry_instrumentation_sqlite3-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opentelemetry-instrumentation-sqlite3\nVersion: 1.0\n"
    )
    (about / "entry_points.txt").write_text("[opentelemetry_instrumentor]\nsqlite3 = official_sqlite3:Instrumentor\n")
    (site / "official_sqlite3.py").write_text(STAND_IN)
    return str(site)


def calls(sink: Any, function: Any, **environment: str) -> tuple[list[tuple[str, str]], str]:
    sandbox = function(CODE, **environment)
    assert sandbox.invoke().body == [], sandbox.output()
    (root,) = sink.wait()
    spans = [span for span in sink.spans() if span.raw.kind == 3]
    assert {span.parent_id for span in spans} <= {root.span_id}
    return [(span.scope, span.name) for span in spans], sandbox.output()


def test_ours_by_default(function: Any, sink: Any) -> None:
    assert calls(sink, function)[0] == [("faasight", "CREATE t"), ("faasight", "SELECT t")]


@pytest.mark.parametrize("hooks", ["default,otel:sqlite3", "otel:sqlite3"])
def test_the_official_one_takes_the_place_of_ours(function: Any, sink: Any, installed: str, hooks: str) -> None:
    seen, output = calls(sink, function, FAASIGHT_HOOKS=hooks, PYTHONPATH=f"{installed}:.")
    assert seen, f"its spans are under the invocation's: {output}"
    assert {scope for scope, _ in seen} == {"official.sqlite3"}


def test_one_that_is_not_installed_is_told_and_harms_nothing(function: Any, sink: Any) -> None:
    seen, output = calls(sink, function, FAASIGHT_HOOKS="default,otel:json", FAASIGHT_STRICT="0")
    assert [name for _, name in seen] == ["CREATE t", "SELECT t"]
    assert "FAASIGHT_HOOKS: no OpenTelemetry instrumentation 'json' is installed" in output


def test_a_wrong_name_is_told(function: Any, sink: Any) -> None:
    seen, output = calls(sink, function, FAASIGHT_HOOKS="sqlite3,oracle")
    assert len(seen) == 2
    assert "FAASIGHT_HOOKS: 'oracle' is not one of default, botocore" in output
