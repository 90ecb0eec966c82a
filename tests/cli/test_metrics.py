"""FAASIGHT_METRICS: what dashboards and alerts tell Prometheus, to whom, and that the documentation has it all."""

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from faasight_cli.errors import SettingError
from faasight_cli.main import main
from faasight_cli.metrics import MetricsServer
from faasight_cli.settings import Address, Settings, load
from panel_calls import ATTENTION
from polling import wait_until
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

DOCS = Path(__file__).parents[2] / "docs" / "watching.md"
ROW = re.compile(r"^\| `(faasight_(?:dashboards|alerts)_\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.MULTILINE)


@pytest.fixture
def told() -> CollectorRegistry:
    """Give a registry with something in it."""
    registry = CollectorRegistry()
    Counter("work_done", "Work", registry=registry).inc(3)
    return registry


@pytest.fixture
def served(told: CollectorRegistry) -> Iterator[Callable[[Settings], str]]:
    """Give a starter of the server, which returns its address."""
    running: list[MetricsServer] = []

    def start(settings: Settings) -> str:
        running.append(MetricsServer(Address("127.0.0.1", 0), settings, [told]))
        running[-1].start()
        return f"http://{running[-1].address}"

    yield start
    for server in running:
        server.stop()
        server.stop()


def test_all_registries_are_one_text_and_nothing_else_is_answered(served: Callable[[Settings], str]) -> None:
    url = served(load({}))
    answer = httpx.get(f"{url}/metrics", timeout=180)
    assert answer.status_code == 200
    assert "\nwork_done_total 3.0\n" in answer.text
    assert "\nprocess_resident_memory_bytes " in answer.text
    assert httpx.get(url, timeout=180).status_code == 404
    refused = httpx.post(f"{url}/metrics", timeout=180)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_with_tokens_one_that_may_read_metrics_is_asked_for(
    served: Callable[[Settings], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "tokens.json"
    monkeypatch.setenv("FAASIGHT_TOKENS", str(file))
    monkeypatch.setenv("FAASIGHT_JOURNAL", str(tmp_path / "journal"))
    made = {}
    for name, use in (("checkout", "ingest"), ("prometheus", "metrics")):
        assert main(["tokens", "create", name, "--for", use]) == 0
        made[use] = capsys.readouterr().out.strip()
    url = served(load({"FAASIGHT_TOKENS": str(file)}))

    def status(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{url}/metrics", headers=headers, timeout=180).status_code

    assert [status(token) for token in ("", "wrong", made["ingest"], made["metrics"])] == [401, 401, 403, 200]
    assert main(["tokens", "revoke", "prometheus"]) == 0
    wait_until(lambda: status(made["metrics"]) == 401, "a revoked token is refused")


def test_beyond_this_machine_somebody_must_be_asked(told: CollectorRegistry, tmp_path: Path) -> None:
    everywhere, plain = Address("0.0.0.0", 0), load({})
    with pytest.raises(SettingError, match=r"FAASIGHT_METRICS is '0.0.0.0:0', where other machines .* --for metrics"):
        MetricsServer(everywhere, plain, [told])
    MetricsServer(everywhere, replace(plain, allow_remote=True), [told])
    file = tmp_path / "tokens.json"
    file.write_text('{"version": 1, "tokens": []}', encoding="utf-8")
    MetricsServer(everywhere, replace(plain, tokens=file), [told])


def test_a_port_in_use_is_one_sentence(told: CollectorRegistry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = MetricsServer(Address("127.0.0.1", taken.getsockname()[1]), load({}), [told])
        with pytest.raises(SettingError, match=r"cannot be listened on: .*\. Choose another"):
            server.start()


def _families(url: str) -> dict[str, Metric]:
    """Return ours, by their names in the text."""
    text = httpx.get(url, timeout=60).text
    named = {
        {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name): family
        for family in text_string_to_metric_families(text)
        if family.name.startswith("faasight_") and not family.name.endswith("_created")
    }
    return {f"{name}_info" if name.endswith("_build") else name: family for name, family in named.items()}


def test_a_platform_tells_what_the_documentation_says(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    webhook = "http://127.0.0.1:9/services/nobody"
    env = {**any_ports, "FAASIGHT_METRICS": "127.0.0.1:0", "FAASIGHT_SLACK_WEBHOOK": webhook}
    up = faasight("up", folder=tmp_path, env=env)
    up.wait_for("Ctrl+C stops it")
    url = up.url("metrics")
    assert urlsplit(url).path == "/metrics"
    answer = httpx.post(f"{up.url('dashboards')}/_dash-update-component", json=ATTENTION, timeout=60)
    assert answer.status_code == 200

    def value(name: str, **labels: str) -> float:
        samples = (sample for family in _families(url).values() for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    assert value("faasight_dashboards_query_seconds_count") >= 1
    assert value("faasight_dashboards_cache_total", result="miss") >= 1
    assert value("faasight_dashboards_requests_total", status="200") >= 1
    wait_until(lambda: value("faasight_alerts_evaluations_total", result="ok"), "rules are evaluated")
    assert value("faasight_alerts_leading") == 1
    families = _families(url)
    documented = {
        name: (kind, set(labels.replace(" ", "").split(",")) - {""})
        for name, kind, labels in ROW.findall(DOCS.read_text("utf-8"))
    }
    assert set(families) == set(documented)
    for name, family in families.items():
        kind, labels = documented[name]
        assert family.type == kind, name
        assert {label for sample in family.samples for label in sample.labels} - {"le"} <= labels, name
