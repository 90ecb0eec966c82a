"""/metrics: by Prometheus' conventions, and every metric stands in the documentation."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from faasight_collector import Collector
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

WATCHING = Path(__file__).parents[2] / "docs" / "watching.md"
DOCS = WATCHING.read_text("utf-8").split("### Dashboards and alerts")[0]
PREFIX = "faasight_collector_"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.MULTILINE)
NOT_HERE = {  # with TLS, with tokens, with several workers, with an embedded store
    "tls_certificate_expiry_timestamp_seconds",
    "token_requests_total",
    "token_last_used_timestamp_seconds",
    "worker_up",
    "store_memory_bytes",
    "store_memory_limit_bytes",
}


@pytest.fixture
def families(collector: Collector, make_traces: Callable[..., bytes]) -> list[Metric]:
    """Return what a collector tells that has accepted something and refused something."""
    url = f"http://{collector.http_address}"
    headers = {"content-type": "application/x-protobuf"}
    assert requests.post(f"{url}/v1/traces", make_traces(), headers=headers, timeout=180).status_code == 200
    assert requests.post(f"{url}/v1/traces", b"\xff", headers=headers, timeout=180).status_code == 400
    answer = requests.get(f"{url}/metrics", timeout=180)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return list(text_string_to_metric_families(answer.text))


def own(families: list[Metric]) -> dict[str, Metric]:
    """Return ours by their names in the text, without the prefix."""
    named = {f"{family.name}_total" if family.type == "counter" else family.name: family for family in families}
    return {name.removeprefix(PREFIX): family for name, family in named.items() if name.startswith(PREFIX)}


def test_all_metrics_are_documented_and_all_documented_ones_are_there(families: list[Metric]) -> None:
    documented = {name: kind for name, kind, _ in ROW.findall(DOCS)}
    assert documented, "the table is read"
    found = {name: family.type for name, family in own(families).items()}
    assert found == {name: kind for name, kind in documented.items() if name not in NOT_HERE}


def test_labels_are_those_of_the_documentation(families: list[Metric]) -> None:
    documented = {name: set(labels.replace(" ", "").split(",")) - {""} for name, _, labels in ROW.findall(DOCS)}
    for name, family in own(families).items():
        labels = {label for sample in family.samples for label in sample.labels}
        assert labels <= documented[name], name


def test_names_and_units_are_prometheus_own(families: list[Metric]) -> None:
    """What promtool checks: base units, a unit at the end, _total on counters alone, a help text for each."""
    for family in families:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name), family.name
        assert family.documentation.strip(), family.name
        assert family.type != "unknown", family.name
        assert not re.search(r"_(ms|milliseconds|kb|kilobytes|mib|minutes|count|sum|bucket)$", family.name), family.name
        if family.type != "counter":
            assert not family.name.endswith("_total"), family.name
    for name in ("accepted_bytes_total", "journal_bytes", "ship_lag_seconds", "insert_seconds"):
        assert name in own(families)


def test_the_process_is_told_of(families: list[Metric]) -> None:
    by_name = {family.name: family.samples[0].value for family in families if family.samples}
    assert by_name["process_resident_memory_bytes"] > 10_000_000
    assert by_name["process_open_fds"] > 0


def test_counts_are_those_of_what_was_sent(families: list[Metric]) -> None:
    mine = own(families)
    accepted = {sample.labels["signal"]: sample.value for sample in mine["accepted_requests_total"].samples}
    assert (accepted["traces"], accepted["logs"]) == (1, 0)
    refused = [(sample.labels, sample.value) for sample in mine["rejected_requests_total"].samples]
    assert refused == [({"signal": "traces", "reason": "corrupt_protobuf"}, 1)]
