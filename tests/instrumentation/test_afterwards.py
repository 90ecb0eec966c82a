"""On AWS Lambda the answer does not wait for the telemetry."""

import threading
from typing import Any

import faasight
import pytest

ANSWERS = "def handler(event, context):\n    return 'done'\n"
FAILS = "def handler(event, context):\n    raise ValueError('wrong')\n"
PATCHED = """
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
def handler(event, context):
    return hasattr(LambdaRuntimeClient.wait_next_invocation, "__wrapped__")
"""


@pytest.mark.parametrize(("code", "kind"), [(ANSWERS, "response"), (FAILS, "error")])
def test_the_answer_is_out_before_the_collector_has_answered(function: Any, sink: Any, code: str, kind: str) -> None:
    """The collector answers only once the caller has the function's answer, and a flush is told to wait for it."""
    answered = threading.Event()
    in_time: list[bool] = []

    def answer(_: int) -> tuple[int, dict[str, str], bytes]:
        in_time.append(answered.wait(180))
        return 200, {}, b""

    sink.answer = answer
    sandbox = function(code, FAASIGHT_CONFIRM="1", FAASIGHT_FLUSH_TIMEOUT="30")
    assert sandbox.invoke(timeout_ms=60_000).kind == kind
    answered.set()
    assert len(sink.wait(1)) == 1
    assert in_time == [True]


def test_so_it_is_with_the_decorator(function: Any, sink: Any) -> None:
    code = "import faasight\n" + PATCHED.replace("def handler", "@faasight.observe\ndef handler")
    assert function(code, wrapped=False).invoke().body is True


def test_it_can_be_switched_off(function: Any, sink: Any) -> None:
    assert function(PATCHED).invoke().body is True
    assert function(PATCHED, FAASIGHT_AFTER_ANSWER="0").invoke().body is False


def test_a_process_that_ends_after_its_answer_sends_all_the_same(function: Any, sink: Any) -> None:
    """Here with an error of the runtime's: its next event is none."""
    code = (
        "import awslambdaric.lambda_runtime_client as c\n"
        "def handler(event, context):\n"
        "    def gone(self): raise SystemExit(3)\n"
        "    c.LambdaRuntimeClient.wait_next_invocation = gone\n"
        "    return 'done'\n"
    )
    sandbox = function(code)
    assert sandbox.invoke().body == "done"
    assert sandbox.process.wait(180) == 3
    (span,) = sink.wait(1)
    assert span.attributes["faasight.outcome"] == "ok"


def test_a_runtime_that_no_longer_asks_through_us_keeps_nothing_back(agent: Any, sink: Any) -> None:
    agent.due = []
    handler = faasight.observe(lambda event, _context: event)
    assert [handler(n, None) for n in range(2)] == [0, 1]
    assert len(sink.wait(2)) == 2
    assert agent.due is None
