"""What AWS delivers, posted to the real doors, is in the real store's tables."""

import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from faasight_collector import Collector
from faasight_store import Store
from faasight_store.queries import metrics as store_metrics
from faasight_store.types import Scope

from tests.collector.firehose_request import Delivery

SAMPLES = Path(__file__).parent / "samples"
StartCollector = Callable[..., Collector]
Eventually = Callable[[Callable[[], object]], None]


def test_a_log_stream_becomes_logs_and_invocations(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, unique: str
) -> None:
    collector = start_collector(shared_store)
    body = gzip.compress((SAMPLES / "cloudwatch_logs_text.json").read_bytes().replace(b"checkout", unique.encode()))
    headers = {"Content-Type": "application/gzip", "X-Faasight-Region": "eu-west-1"}
    for _ in range(2):  # a forwarder that lost the answer
        assert requests.post(f"http://{collector.http_address}/v1/aws/logs", body, headers=headers, timeout=180).ok

    def query(sql: str) -> list[Any]:
        return list(shared_store.query(sql, {"function": unique}))

    facts = """SELECT witness, outcome, duration_ms, init_ms, init_type FROM invocation_facts
        WHERE function = {function:String} ORDER BY request_id, witness"""
    eventually(lambda: len(query(facts)) == 7)
    found = query(facts)
    assert [row for row in found if row[0] == "report"] == [
        ("report", "ok", 101.51, 116.67, ""),
        ("report", "timeout", 3000.0, None, ""),
        ("report", "out_of_memory", 500.2, None, ""),  # killed with all of its memory used
        ("report", "ok", 306.34, 511.25, "snap-start"),
    ]
    assert sorted(row[:2] for row in found if row[0] == "fault") == [("fault", "out_of_memory"), ("fault", "timeout")]
    logs = "SELECT level, message FROM logs WHERE function = {function:String} ORDER BY message"
    eventually(lambda: len(query(logs)) == 4)
    assert query(logs)[-2:] == [("ERROR", "no stock"), ("INFO", "paid 3 orders")]


def test_throttles_and_embedded_metrics_can_be_asked_for(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, unique: str
) -> None:
    """Two periods of 7 throttles are 14, however often their deliveries are repeated."""
    collector = start_collector(shared_store)
    minute = int(time.time()) // 60 * 60_000
    emf = json.loads((SAMPLES / "emf.json").read_text())
    for when in (minute - 120_000, minute - 60_000):
        metrics = (SAMPLES / "metric_stream.jsonl").read_bytes().replace(b"checkout", unique.encode())
        emf["_aws"]["Timestamp"] = when
        message = {
            "messageType": "DATA_MESSAGE",
            "owner": "123456789012",
            "logGroup": f"/aws/lambda/{unique}",
            "logStream": "2026/11/21/[1]abc",
            "logEvents": [{"id": "1", "timestamp": when, "message": json.dumps(emf)}],
        }
        records = metrics.replace(b"1795248000000", str(when).encode()), gzip.compress(json.dumps(message).encode())
        delivery = Delivery(records)
        for _ in range(2):
            assert delivery.post(collector.http_address).ok
    now = datetime.now(UTC)
    scope = Scope(start=now - timedelta(minutes=30), end=now + timedelta(minutes=30))

    def total(metric: str, **where: str) -> float:
        data = store_metrics.query(shared_store, scope, metric, "sum", where={"function": unique, **where})
        return sum(value for line in data.lines for value in line.values if value is not None)

    throttles = "amazonaws.com/AWS/Lambda/Throttles"
    eventually(lambda: total(throttles, FunctionName=unique) == 14.0)
    assert total("amazonaws.com/AWS/Lambda/ConcurrentExecutions", FunctionName=unique) == 240.0
    eventually(lambda: total("Shop/orders", country="PL") == 6.0)
    assert total("Shop/latency", country="PL") == 85.0
    logs = "SELECT message FROM logs WHERE function = {function:String}"
    found = lambda: [row for (row,) in shared_store.query(logs, {"function": unique})]  # noqa: E731
    eventually(lambda: found() == ["orders=3 latency=[10.5,2,30]"] * 2)
