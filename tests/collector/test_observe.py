"""The collector's own spans: they tell of segments and of some requests, and never of themselves."""

import secrets
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
import requests
from faasight_collector import Collector, Settings, observe
from faasight_store import Store, StoreUnavailableError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from polling import wait_until
from prometheus_client.parser import text_string_to_metric_families

MakeTraces = Callable[..., bytes]
PROTOBUF = {"content-type": "application/x-protobuf"}


class Kept:
    """A store that takes all, or is away."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def land(self, *_: object, **__: object) -> None:
        """Take a segment."""
        if self._error:
            raise self._error

    def insert(self, *_: object) -> None:
        """Take a report."""

    def query(self, *_: object) -> list[Any]:
        """Know nothing."""
        return []

    command = query


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keep spans for the test to read."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """Make spans as the command does, with the platform's mark."""
    provider = TracerProvider(
        resource=Resource({"service.name": "own", "telemetry.distro.name": observe.DISTRIBUTION}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def started(settings: Settings, store: object, provider: TracerProvider) -> Collector:
    collector = Collector(settings, cast(Store, store), tracer=provider.get_tracer("faasight.collector"))
    collector.start()
    return collector


def post(collector: Collector, body: bytes) -> None:
    answer = requests.post(f"http://{collector.http_address}/v1/traces", body, headers=PROTOBUF, timeout=180)
    assert answer.status_code == 200


def figures(collector: Collector) -> dict[str, float]:
    """Return what /metrics says of the signal traces, by the name of the sample."""
    text = requests.get(f"http://{collector.http_address}/metrics", timeout=180).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.name: sample.value for sample in samples if sample.labels.get("signal", "traces") == "traces"}


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_segment_a_request_and_an_insert_are_spans(
    settings: Settings, exporter: InMemorySpanExporter, provider: TracerProvider, make_traces: MakeTraces
) -> None:
    collector = started(settings, Kept(), provider)
    body = make_traces(3)
    post(collector, body)
    wait_until(lambda: by_name(exporter).keys() >= {"receive traces", "ship traces"}, "both are told of")
    collector.stop()
    found = by_name(exporter)
    ship, insert = found["ship traces"], found["INSERT otlp_traces"]
    assert insert.parent is not None
    assert insert.parent.span_id == ship.context.span_id
    assert ship.attributes is not None
    assert (ship.attributes["faasight.segment.requests"], ship.attributes["faasight.segment.replay"]) == (1, False)
    assert found["receive traces"].attributes == {"faasight.signal": "traces", "faasight.request.bytes": len(body)}


def test_requests_are_sampled(
    settings: Settings, exporter: InMemorySpanExporter, provider: TracerProvider, make_traces: MakeTraces
) -> None:
    """One a second at most, by the collector's word: hundreds at once make a few spans."""
    collector = started(settings, Kept(), provider)
    began = time.monotonic()
    for _ in range(100):
        post(collector, make_traces())
    seconds = time.monotonic() - began
    collector.stop()
    received = [span for span in exporter.get_finished_spans() if span.name == "receive traces"]
    assert 1 <= len(received) <= seconds + 1


def test_a_store_that_is_away_is_an_error_of_the_span_and_of_the_metrics(
    settings: Settings, exporter: InMemorySpanExporter, provider: TracerProvider, make_traces: MakeTraces
) -> None:
    collector = started(settings, Kept(RuntimeError("away")), provider)
    post(collector, make_traces())
    wait_until(lambda: "ship traces" in by_name(exporter), "it has been tried")
    told = figures(collector)
    collector.stop()
    assert not by_name(exporter)["INSERT otlp_traces"].status.is_ok
    assert not by_name(exporter)["ship traces"].status.is_ok
    assert told["faasight_collector_insert_failures_total"] >= 1
    assert told["faasight_collector_store_up"] == 0


def test_without_an_sdk_nothing_is_made(settings: Settings, make_traces: MakeTraces) -> None:
    collector = Collector(settings, cast(Store, Kept()))
    collector.start()
    post(collector, make_traces())
    wait_until(lambda: figures(collector)["faasight_collector_shipped_requests_total"] == 1, "it is shipped")
    assert not isinstance(
        observe.intake(observe.tracer(), collector.journal, collector.stats, None), observe.SampledIntake
    )  # type: ignore[arg-type]  # it is not asked for letters
    told = figures(collector)
    collector.stop()
    assert (told["faasight_collector_insert_seconds_count"], told["faasight_collector_store_up"]) == (1, 1)


@pytest.mark.parametrize("shared_store", ["embedded"], indirect=True)
def test_pointed_at_itself_it_falls_silent(
    shared_store: Store, settings: Settings, provider: TracerProvider, make_traces: MakeTraces
) -> None:
    """Its spans go to its own door: were they told of in turn, it would never end."""
    collector = started(settings, shared_store, provider)
    endpoint = f"http://{collector.http_address}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), schedule_delay_millis=50))
    name = f"foreign-{secrets.token_hex(4)}"
    post(collector, make_traces(1, name=name))

    def quiet() -> bool:
        """Tell whether all is shipped, and that has made no more spans to send."""
        provider.force_flush()
        told = figures(collector)
        accepted, shipped = (told[f"faasight_collector_{what}_requests_total"] for what in ("accepted", "shipped"))
        # A span ends before its segment counts as shipped: were own telemetry told of, its span would be flushed now.
        provider.force_flush()
        return 2 <= accepted == shipped == figures(collector)["faasight_collector_accepted_requests_total"]

    wait_until(quiet, "it is silent")
    own = shared_store.query(
        "SELECT name FROM spans WHERE resource['telemetry.distro.name'] = {own:String} ORDER BY name",
        {"own": observe.DISTRIBUTION},
    )
    collector.stop()
    assert [row[0] for row in own] == ["INSERT otlp_traces", "receive traces", "ship traces"]
    assert shared_store.query("SELECT count() FROM spans WHERE name = {name:String}", {"name": name}) == [(1,)]


def test_a_recovery_is_a_span_that_tells_what_was_left(
    settings: Settings, provider: TracerProvider, exporter: InMemorySpanExporter, make_traces: MakeTraces
) -> None:
    first = started(settings, Kept(StoreUnavailableError("away")), provider)
    post(first, make_traces())
    first.stop()
    (left,) = [path.read_bytes() for path in (settings.journal_dir / "traces").iterdir()]
    exporter.clear()
    started(settings, Kept(), provider).stop()
    (span,) = [span for span in exporter.get_finished_spans() if span.name == "recover journal"]
    assert dict(span.attributes or {}) == {
        "faasight.recovery.segments": 1,
        "faasight.recovery.unshipped_bytes": len(left),
        "faasight.recovery.shipped_bytes": 0,
    }
