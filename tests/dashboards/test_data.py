"""What pages ask of the store: once for many, and told of as spans."""

from typing import cast

import pytest
from faasight_dashboards import data
from faasight_dashboards.settings import Settings
from faasight_store import Store
from flask import Flask
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Looked:
    """Stand for a store that is told when somebody looks."""

    def __init__(self) -> None:
        self.expected: list[float] = []

    def expect(self, seconds: float) -> None:
        """Note for how long the next question is expected."""
        self.expected.append(seconds)


STORE = Looked()


def total(store: Store, number: int) -> int:
    """Stand for a query."""
    assert cast(object, store) is STORE
    return number + 1


def test_a_query_is_a_span_and_an_answer_from_the_cache_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(data, "_tracer", provider.get_tracer("test"))
    app = Flask("test")
    data.install(app, data.Context(cast(Store, STORE), Settings()))
    with app.app_context():
        assert [data.ask(total, 1), data.ask(total, 1), data.ask(total, 2)] == [2, 2, 3]
    assert [span.name for span in exporter.get_finished_spans()] == ["query test_data.total"] * 2
    assert STORE.expected == [data.LOOKING_S] * 3  # whatever is in the cache: the next click is near
