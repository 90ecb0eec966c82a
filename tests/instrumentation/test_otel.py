"""The OpenTelemetry SDK beside us, under the real runtime client and in its own."""

from typing import Any

import pytest

OWN_TRACER = """
from opentelemetry import trace
tracer = trace.get_tracer("shop.pricing", "2.1")
def handler(event, context):
    import faasight
    with tracer.start_as_current_span("price", kind=trace.SpanKind.CLIENT, attributes={"items": 3}) as span:
        span.add_event("looked up", {"cached": True})
        with faasight.span("discount"):
            with tracer.start_as_current_span("coupon"):
                pass
    return trace.format_span_id(trace.get_current_span().get_span_context().span_id)
"""


def test_spans_of_the_users_tracer_hang_in_our_trace(function: Any, sink: Any) -> None:
    sandbox = function(OWN_TRACER)
    outcome = sandbox.invoke()
    assert outcome.kind == "response", sandbox.output()
    (root,) = sink.wait()
    assert outcome.body == root.span_id, "the invocation is OpenTelemetry's current span"
    price, discount, coupon = (sink.named(name) for name in ("price", "discount", "coupon"))
    assert [price.parent_id, discount.parent_id, coupon.parent_id] == [root.span_id, price.span_id, discount.span_id]
    assert {span.trace_id for span in (price, discount, coupon)} == {root.trace_id}
    assert (price.raw.kind, price.attributes, price.scope) == (3, {"items": 3}, "shop.pricing")
    assert price.raw.events[0].name == "looked up"
    assert price.resource == root.resource
    sandbox.invoke()
    sink.wait(2)
    assert len([span for span in sink.spans() if span.name == "price"]) == 2


def test_the_users_own_provider_is_kept_and_fed_from(function: Any, sink: Any) -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
mine, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(mine))
trace.set_tracer_provider(provider)
def handler(event, context):
    with trace.get_tracer("t").start_as_current_span("work"):
        pass
    return [trace.get_tracer_provider() is provider, [span.name for span in mine.get_finished_spans()]]
"""
    sandbox = function(code)
    assert sandbox.invoke().body == [True, ["work"]], sandbox.output()
    (root,) = sink.wait()
    assert sink.named("work").parent_id == root.span_id
    assert "Overriding" not in sandbox.output()


THROTTLED = """
from opentelemetry import trace
tracer = trace.get_tracer("t")
CALLS = [
    ("http", {"http.response.status_code": 429}),
    ("old", {"http.status_code": 429}),
    ("grpc", {"rpc.grpc.status_code": 8}),
    ("new", {"rpc.response.status_code": "RESOURCE_EXHAUSTED"}),
    ("fine", {"http.response.status_code": 200, "rpc.grpc.status_code": 0}),
]
def handler(event, context):
    for name, attributes in CALLS:
        tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes).end()
    tracer.start_span("served", kind=trace.SpanKind.SERVER, attributes={"http.response.status_code": 429}).end()
"""


def test_a_call_that_was_turned_away_is_a_throttle(function: Any, sink: Any) -> None:
    """By gRPC too, of which we have no hook of our own: seen at the caller."""
    sandbox = function(THROTTLED)
    assert sandbox.invoke().kind == "response", sandbox.output()
    sink.wait()
    throttled = {span.name for span in sink.spans() if span.attributes.get("faasight.throttled") is True}
    assert throttled == {"http", "old", "grpc", "new"}


def test_an_exception_is_recorded_by_both(function: Any, sink: Any) -> None:
    code = """
from opentelemetry import trace
def handler(event, context):
    with trace.get_tracer("t").start_as_current_span("work"):
        raise ValueError("inside")
"""
    assert function(code).invoke().kind == "error"
    (root,) = sink.wait()
    work = sink.named("work")
    assert (work.raw.status.code, work.raw.events[0].name) == (2, "exception")
    assert root.attributes["error.type"] == "ValueError"


@pytest.mark.parametrize("environment", [{}, {"FAASIGHT_HOOKS": "botocore"}], ids=["not imported", "not wanted"])
def test_it_stays_away(function: Any, sink: Any, environment: dict[str, str]) -> None:
    wanted = "" if not environment else "from opentelemetry import trace\n"
    code = f"import sys\n{wanted}def handler(event, context):\n    return 'opentelemetry.sdk.trace' in sys.modules\n"
    assert function(code, **environment).invoke().body is False
