"""Log lines under the real runtime client, by the standard library and by structlog."""

import datetime as dt
import enum
import io
import json
import logging
import sys
import uuid
from typing import Any

import faasight
import orjson
import pytest
from faasight import logs
from faasight.logs import JsonFormatter, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STANDARD = """
import logging
logging.getLogger().setLevel(logging.INFO)
log = logging.getLogger("shop.checkout")
log.info("while loading")
def handler(event, context):
    log.info("order %s", "o-1", extra={"amount": 12.5, "message_id": "m", "function": "clash"})
    try:
        {}["missing"]
    except KeyError:
        log.exception("failed")
    log.warning("with\\nbreak and ü")
"""

STRUCTLOG = """
import structlog
log = structlog.get_logger("shop.stock")
def handler(event, context):
    log.debug("too fine")
    log.info("order", amount=12.5, nested={"a": [1]})
    try:
        {}["missing"]
    except KeyError:
        log.exception("failed")
"""

OURS = STRUCTLOG.replace("import structlog", "import faasight").replace("structlog.", "faasight.")


def check_common(line: dict[str, Any], span: Any) -> None:
    assert line["request_id"] == span.attributes["faas.invocation_id"]
    assert line["trace_id"] == span.trace_id
    assert line["span_id"] == span.span_id
    assert line["cold_start"] is True
    assert (line["function"], line["version"]) == ("checkout", "7")


def test_the_standard_library_logs_json(function: Any, sink: Any) -> None:
    sandbox = function(STANDARD)
    sandbox.invoke()
    (span,) = sink.wait()
    loading, order, failed, warning = sandbox.lines()
    assert "request_id" not in loading
    for line in (order, failed, warning):
        check_common(line, span)
    assert (order["level"], order["message"], order["logger"]) == ("INFO", "order o-1", "shop.checkout")
    assert (order["amount"], order["function_"]) == (12.5, "clash")
    assert (failed["level"], failed["error_type"], failed["error_message"]) == ("ERROR", "KeyError", "'missing'")
    assert "Traceback" in failed["stack_trace"]
    assert (warning["level"], warning["message"]) == ("WARN", "with\nbreak and ü")
    assert order["timestamp"][10] == "T"
    assert order["timestamp"][-5:-4] == "."
    assert order["timestamp"][-1] == "Z"
    assert list(order)[:10] == [
        *("timestamp", "level", "message", "logger", "function", "version"),
        *("request_id", "trace_id", "span_id", "cold_start"),
    ]
    assert sandbox.output().count("\n") == 4


@pytest.mark.parametrize("code", [STRUCTLOG, OURS], ids=["structlog", "faasight"])
def test_structlog_logs_the_same_json(function: Any, sink: Any, code: str) -> None:
    sandbox = function(code)
    sandbox.invoke()
    (span,) = sink.wait()
    order, failed = sandbox.lines()
    check_common(order, span)
    check_common(failed, span)
    assert (order["level"], order["message"], order["logger"]) == ("INFO", "order", "shop.stock")
    assert order["nested"] == {"a": [1]}
    assert (failed["level"], failed["error_type"]) == ("ERROR", "KeyError")


def test_a_structlog_that_the_user_configures_is_theirs(function: Any, sink: Any) -> None:
    code = """
import structlog
structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
def handler(event, context):
    structlog.get_logger().info("mine", a=1)
"""
    sandbox = function(code)
    sandbox.invoke()
    assert sandbox.output() == "a=1 event='mine'\n"


def test_logs_can_be_left_as_they_are(function: Any, sink: Any) -> None:
    sandbox = function(STANDARD, FAASIGHT_LOGS="off")
    sandbox.invoke()
    assert sandbox.output().startswith("[INFO]\t")


def test_the_level_can_be_set(function: Any, sink: Any) -> None:
    code = "import logging\ndef handler(event, context):\n    logging.debug('fine')\n"
    quiet, loud = function(code), function(code, FAASIGHT_LOG_LEVEL="DEBUG")
    quiet.invoke()
    loud.invoke()
    assert quiet.lines() == []
    assert [line["message"] for line in loud.lines()] == ["fine"]


def test_values_that_json_cannot_hold(agent: Any) -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    line = json.loads(write({"message": "m", "object": {1}, "circle": circle}))
    assert line["message"] == "m"
    assert json.loads(write({"message": "m", "when": object()}))["message"] == "m"


def test_a_span_of_ones_own_is_on_the_line(agent: Any, sink: Any) -> None:
    stream = io.StringIO()
    handler_of_log = logging.StreamHandler(stream)
    handler_of_log.setFormatter(JsonFormatter())
    log = logging.Logger("own")
    log.addHandler(handler_of_log)

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        with faasight.span("work"):
            log.warning("inside")

    handler({}, None)
    sink.wait()
    assert json.loads(stream.getvalue())["span_id"] == sink.named("work").span_id


def test_a_closed_stdout_ends_nothing(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from faasight.logs import _Stdout

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    _Stdout("x").info("{}")


class Unprintable:
    """A value like a detached row of a database: to print it is an error."""

    def __repr__(self) -> str:
        raise RuntimeError("detached")


def test_a_value_that_cannot_be_printed_ends_nothing(agent: Any) -> None:
    assert json.loads(write({"message": "m", "row": Unprintable(), "n": 1.5})) == {
        "message": "m",
        "row": "<RuntimeError in __str__>",
        "n": 1.5,
    }


def test_every_line_is_valid_json_in_valid_utf_8(agent: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    line = write({"message": "ü \ud800", "ratio": float("nan")})
    assert json.loads(line.encode(), parse_constant=refuse) == {"message": "ü ?", "ratio": "nan"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_lines_are_what_the_standard_library_writes(line: dict[str, Any]) -> None:
    """The C encoder is made once and called directly: it must write the same as `json.dumps`."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    assert write(line) == text.encode("utf-8", "replace").decode()


@pytest.fixture
def _orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_line_dumps", logs._line_dumps)
    logs.use_orjson(orjson)


@pytest.mark.usefixtures("_orjson")
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.text(), JSON | st.integers(2**63, 2**70), max_size=5))
def test_lines_by_orjson_say_the_same(line: dict[str, Any]) -> None:
    """As text they may differ in how a number is written (1e+16)."""
    text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode()
    assert json.loads(write(line)) == json.loads(text)


class Size(enum.Enum):
    """An enumeration."""

    LARGE = 1


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("-inf"), None, 2**64, "null", "\ud800", Size.LARGE, uuid.UUID(int=7), {7: "x"}, (1, 2), b"x",
     dt.datetime(2026, 11, 21, tzinfo=dt.UTC), Unprintable()],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_orjson_would_write_otherwise_is_written_as_ever(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_line_dumps", logs._dumps)
    usual = write({"message": "m", "value": value, "n": 1})
    logs.use_orjson(orjson)
    assert write({"message": "m", "value": value, "n": 1}) == usual


def test_orjson_encodes_lines_once_the_function_has_imported_it(function: Any, sink: Any) -> None:
    code = (
        "import logging, sys\n"
        "import faasight.logs as logs\n"
        "before = logs._line_dumps is logs._dumps, 'orjson' in sys.modules\n"
        "import orjson\n"
        "def handler(event, context):\n"
        "    logging.getLogger('shop').warning('low stock', extra={'left': 3})\n"
        "    return [*before, logs._line_dumps is logs._dumps]\n"
    )
    sandbox = function(code)
    assert sandbox.invoke().body == [True, False, False]
    (line,) = sandbox.lines()
    assert (line["message"], line["left"], line["logger"]) == ("low stock", 3, "shop")


def test_a_value_that_holds_itself_is_told_as_text() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert json.loads(write({"message": "m", "circle": circle})) == {"message": "m", "circle": "[[...]]"}
