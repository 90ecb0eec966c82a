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


def total(store: Store, number: int) -> int:
    """Stand for a query."""
    assert cast(object, store) == "the store"
    return number + 1


def test_a_query_is_a_span_and_an_answer_from_the_cache_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(data, "_tracer", provider.get_tracer("test"))
    app = Flask("test")
    data.install(app, data.Context(cast(Store, "the store"), Settings()))
    with app.app_context():
        assert [data.ask(total, 1), data.ask(total, 1), data.ask(total, 2)] == [2, 2, 3]
    assert [span.name for span in exporter.get_finished_spans()] == ["query test_data.total"] * 2
