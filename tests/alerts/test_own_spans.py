"""An evaluation of a rule is a span, where the process has an SDK; a failing one says so."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from faasight_alerts import evaluator
from faasight_alerts.rule import Condition, Rule
from faasight_store import Store
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

RULE = Rule("errors", "warning", "error_rate", Condition(">", 0.1))


class Nothing:
    """A store that takes all rows."""

    def insert(self, *_: Any) -> None:
        """Take rows."""


@pytest.mark.parametrize("broken", [False, True])
def test_each_evaluation_is_told_of(monkeypatch: pytest.MonkeyPatch, broken: bool) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(evaluator, "_tracer", provider.get_tracer("test"))

    def measure(*_: Any) -> list[Any]:
        if broken:
            raise RuntimeError("the store is away")
        return []

    made = evaluator.Evaluator(cast(Store, Nothing()), [RULE], measure, "http://here", [])
    made.run(1, datetime(2026, 5, 4, 12, 1, tzinfo=UTC), {}, lambda: False)
    spans = exporter.get_finished_spans()
    assert {span.name for span in spans} == {"evaluate"}
    assert all((span.attributes or {})["faasight.rule"] == RULE.id for span in spans)
    assert [span.status.is_ok for span in spans] == [not broken] * len(spans)
    assert len(spans) >= 1
