"""The decorator, in this process: results and exceptions come back, and invocations never mix."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import faasight
import faasight.invocation
import pytest
from faasight.complain import complaints


def context(request_id: str = "r1") -> Any:
    return SimpleNamespace(aws_request_id=request_id, invoked_function_arn="arn:aws:lambda:r:42:function:f")


def test_both_forms_of_the_decorator(agent: Any, sink: Any) -> None:
    @faasight.observe
    def bare(event: Any, context: Any) -> Any:
        """Say so."""
        return event

    @faasight.observe(name="nightly report")
    def named(event: Any, context: Any) -> Any:
        return event

    marker = object()
    assert bare(marker, context()) is marker
    assert named(marker, context()) is marker
    assert (bare.__name__, bare.__doc__) == ("bare", "Say so.")
    assert sorted(span.name for span in sink.wait(2)) == ["invoke", "nightly report"]
    assert faasight.observe(bare) is bare


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_the_very_exception_comes_back(agent: Any, sink: Any, kind: type[BaseException]) -> None:
    raised = kind("as it is")

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        raise raised

    with pytest.raises(kind) as caught:
        handler({}, context())
    assert caught.value is raised
    (span,) = sink.wait()
    assert span.attributes["error.type"] == kind.__name__


def test_an_exception_that_cannot_be_printed(agent: Any, sink: Any) -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        raise BrokenError

    with pytest.raises(BrokenError):
        handler({}, context())
    (span,) = sink.wait()
    assert span.raw.status.message == "<RuntimeError in __str__>"


@pytest.mark.parametrize("broken", ["begin", "finish"])
def test_a_fault_of_ours_is_not_the_functions(
    new_agent: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    """Both ends of the wrapping fail, and the handler's result comes back all the same."""
    new_agent(FAASIGHT_STRICT="0", FAASIGHT_ENDPOINT="http://127.0.0.1:9")
    monkeypatch.setattr(complaints, "_next", 0.0)

    def fail(*_: Any) -> None:
        raise RuntimeError("our fault")

    monkeypatch.setattr(f"faasight.invoke.{broken}", fail)

    @faasight.observe
    def handler(event: Any, context: Any) -> str:
        return "mine"

    assert handler({}, context()) == "mine"
    assert f"faasight: {broken} failed: RuntimeError: our fault" in capsys.readouterr().err
    assert faasight.current_span() is None, "or the next invocation would look like a nested call"


def test_without_a_context_a_request_id_is_made(agent: Any, sink: Any) -> None:
    faasight.observe(lambda *_: None)({}, None)
    (span,) = sink.wait()
    assert len(span.attributes["faas.invocation_id"]) == 36
    assert "faasight.timeout_ms" not in span.attributes


def test_an_observed_function_within_another_is_no_second_invocation(agent: Any, sink: Any) -> None:
    inner = faasight.observe(lambda event, _: event)
    outer = faasight.observe(lambda event, context: inner(event, context))
    assert outer(5, context()) == 5
    assert len(sink.wait()) == 1


def test_spans_of_ones_own_nest(agent: Any, sink: Any) -> None:
    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        with faasight.span("outer", items=2) as outer:
            outer.set("valid", True).event("checked", step=1)
            with pytest.raises(ValueError), faasight.span("inner"):
                raise ValueError("inside")
        here = faasight.current_span()
        assert here is not None
        here.set("order.id", "o-1")

    handler({}, context())
    (root,) = sink.wait()
    outer, inner = sink.named("outer"), sink.named("inner")
    assert (inner.parent_id, outer.parent_id) == (outer.span_id, root.span_id)
    assert outer.attributes == {"items": 2, "valid": True}
    assert outer.raw.events[0].name == "checked"
    assert inner.attributes["error.type"] == "ValueError"
    assert root.attributes["order.id"] == "o-1"


def test_a_span_outside_an_invocation_is_harmless(agent: Any) -> None:
    with faasight.span("alone") as span:
        span.set("a", 1)
    assert faasight.current_span() is None


def test_fifty_threads_never_mix(agent: Any, sink: Any) -> None:
    """All invocations are open at once; each child span and each id belongs to its own."""
    together = threading.Barrier(50)

    @faasight.observe
    def handler(event: Any, context: Any) -> str:
        together.wait(180)
        with faasight.span(f"child of {event['n']}"):
            together.wait(180)
        return str(faasight.invocation.request_id_here())

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda n: handler({"n": n}, context(f"request {n}")), range(50)))
    assert results == [f"request {n}" for n in range(50)]
    agent.delivery.flush(10.0)
    roots = {span.attributes["faas.invocation_id"]: span for span in sink.wait(50)}
    assert len(roots) == 50
    for n in range(50):
        child, root = sink.named(f"child of {n}"), roots[f"request {n}"]
        assert (child.trace_id, child.parent_id) == (root.trace_id, root.span_id)
    assert sum(span.attributes["faas.coldstart"] for span in roots.values()) == 1


def test_disabled_the_handler_is_the_users_own(new_agent: Any) -> None:
    new_agent(FAASIGHT_DISABLED="1")

    def handler(event: Any, context: Any) -> None:
        """Do nothing."""

    assert faasight.observe(handler) is handler
    faasight.metric("orders", 1)
    faasight.flush()


def test_a_forked_child_sends_its_own_and_nothing_of_its_parents(agent: Any, sink: Any) -> None:
    import os

    handler = faasight.observe(lambda event, _: event)
    handler({}, context("parent"))
    from faasight.spans import Span

    agent.delivery.add(Span("left in the parent", 1, "1" * 32))
    child = os.fork()
    if child == 0:
        agent.after_fork()  # os.register_at_fork does it for agents that were started
        handler({}, context("child"))
        agent.delivery.flush(5.0)
        os._exit(0)
    os.waitpid(child, 0)
    handler({}, context("parent again"))
    spans = sink.wait(3)
    assert sorted(span.attributes["faas.invocation_id"] for span in spans) == ["child", "parent", "parent again"]
    assert sink.named("left in the parent")


def test_a_handler_is_called_as_the_wrapper_was(agent: Any, sink: Any) -> None:
    """Not every platform passes two arguments, or calls them event and context."""

    @faasight.observe
    def of_a_request(request: Any) -> Any:
        return request

    @faasight.observe
    def by_other_names(message: Any, where: Any) -> Any:
        return message, where

    assert of_a_request("r") == "r"
    assert by_other_names(message=1, where=2) == (1, 2)
    assert len(sink.wait(2)) == 2


def test_a_forked_child_does_not_send_its_parents_numbers(agent: Any) -> None:
    faasight.metric("orders", 1)
    metrics = agent.metrics_of_process()
    metrics._lock.acquire()  # as if another thread were recording at this very moment
    agent.after_fork()
    assert metrics._lock.acquire(blocking=False), "a child would wait for a thread that it does not have"
    metrics._lock.release()
    faasight.metric("orders", 5)
    assert [point.value for point in metrics.drain()] == [5]


def test_a_strange_attribute_costs_no_telemetry(agent: Any, sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complaints, "strict", False)

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    endless: list[Any] = []
    endless.append(endless)

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        with faasight.span("odd", value=Unprintable()) as span:  # type: ignore[arg-type]  # that is the point
            span.set(("a", "tuple"), 1)  # type: ignore[arg-type]  # that is the point
        with faasight.span("endless", value=endless):
            pass
        with faasight.span("past us") as span:
            span.attributes["value"] = endless

    handler({}, context())
    sink.wait()
    spans = {span.name: span for span in sink.spans()}
    assert spans["odd"].attributes == {"value": "<RuntimeError in __str__>", "('a', 'tuple')": 1}
    assert {"odd", "invoke"} <= spans.keys()
    assert "..." in str(spans["endless"].attributes["value"]), "cut off at a depth"
    assert "past us" not in spans
