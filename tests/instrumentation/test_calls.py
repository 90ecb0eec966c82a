"""What Google's and Azure's hosts may hand over, spoilt in every way: the function runs, and its call is seen."""

from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight import azure, calls, google


class Raises:
    """Every attribute raises what no `getattr` default catches."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def endless() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


class Request:
    """Looks like flask's."""

    __module__ = "flask.wrappers"

    def __init__(self, headers: Any) -> None:
        self.headers, self.method, self.path = headers, "GET", "/"


JUNK: list[Any] = [
    None, 0, 1.5, True, "", "text", b"\xff", [], {}, endless(), [None], object(), Raises(), [Raises()],
    Request(None), Request({}), Request(Raises()), Request({"Function-Execution-Id": b"\xff", "traceparent": 7}),
    Request({"X-Cloud-Trace-Context": "/", "X-CloudTasks-QueueName": None, "X-CloudScheduler-JobName": 1}),
    SimpleNamespace(headers=None), SimpleNamespace(invocation_id=7, trace_context=7, function_name=b"x"),
    SimpleNamespace(invocation_id="i", trace_context=Raises(), function_name="f", retry_context=Raises()),
    SimpleNamespace(invocation_id="i" * 999, function_name="f" * 9_999, retry_context=SimpleNamespace(retry_count=[])),
    SimpleNamespace(resource=Raises(), event_type=7, timestamp=[], event_id=None),
]  # fmt: skip
RESULTS: list[Any] = [
    *JUNK, (), (1,), ("x", None), ("x", "no status"), ("x", 10**30), ("x", True), ("x", 99), (Raises(), Raises()),
    SimpleNamespace(status_code=Raises()), SimpleNamespace(status_code=-1), SimpleNamespace(status_code="200"),
]  # fmt: skip


def names(value: Any) -> str:
    return type(value).__name__


@pytest.mark.parametrize("host", [google, azure], ids=["google", "azure"])
@pytest.mark.parametrize("context", [None, *JUNK[-4:], Raises()], ids=names)
def test_any_arguments_and_any_result(host: Any, context: Any, sink: Any, new_agent: Any) -> None:
    """By place and by name: the function's own result comes back, and each call has its span."""
    agent = new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_STRICT="0", FAASIGHT_FLUSH_TIMEOUT="5")
    agent.host = host
    results = iter(RESULTS * 3)
    given: list[Any] = []

    @faasight.observe
    def handler(event: Any = None, context: Any = None) -> Any:
        given.append((event, context))
        return next(results)

    expected = iter(RESULTS * 3)
    for junk in JUNK:
        for call in (lambda: handler(junk, context), lambda: handler(event=junk, context=context)):  # noqa: B023 - called at once
            assert call() is next(expected)
            assert given[-1][0] is junk
            assert given[-1][1] is context
    sink.wait(2 * len(JUNK))
    assert len(sink.invocations()) == 2 * len(JUNK)


@pytest.mark.parametrize("host", [google, azure], ids=["google", "azure"])
def test_an_exception_is_the_functions_own(host: Any, sink: Any, new_agent: Any) -> None:
    """Also one whose attributes raise."""

    class HTTPException(Exception):  # noqa: N818 - werkzeug's name
        __module__ = "werkzeug.exceptions"

        @property
        def code(self) -> int:
            raise RuntimeError("no code")

    new_agent(FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_STRICT="0").host = host

    @faasight.observe
    def handler(event: Any) -> Any:
        raise error

    for error in (HTTPException("x"), KeyError("x"), SystemExit(3), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised:
            handler(Request({}))
        assert raised.value is error
    assert [span.attributes["faasight.outcome"] for span in sink.wait(4)] == ["error"] * 4


def test_which_host_it_is() -> None:
    assert calls.host({"AWS_LAMBDA_FUNCTION_NAME": "f", "K_SERVICE": "f"}) is None
    assert calls.host({}) is None
    assert calls.host({"K_SERVICE": "f"}) is google
    assert calls.host({"FUNCTION_TARGET": "f"}) is google
    assert calls.host({"FUNCTIONS_WORKER_RUNTIME": "python"}) is azure


@pytest.mark.parametrize("limit", ["", "x", "1:2", "::", "-1:0:0", "1.00:00:00", "9" * 50 + ":00:00"])
def test_what_is_no_limit_of_azure(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(azure._LIMIT, limit)
    assert azure._limit_ms() == 0
    monkeypatch.setenv(azure._LIMIT, "00:05:00")
    assert azure._limit_ms() == 300_000


@pytest.mark.parametrize("limit", ["", "x", "-1", "1.5", "99999999"])
def test_what_is_no_limit_of_google(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUNCTION_TIMEOUT_SEC", raising=False)
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", limit)
    assert google._timeout_ms() == 0
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "60")
    assert google._timeout_ms() == 60_000
