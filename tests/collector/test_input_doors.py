"""What AWS delivers, posted to the real doors, is in the real store's tables."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from faasight_collector import Collector
from faasight_store import Store

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
        assert requests.post(f"http://{collector.http_address}/v1/aws/logs", body, headers=headers, timeout=20).ok

    def query(sql: str) -> list[Any]:
        return list(shared_store.query(sql, {"function": unique}))

    facts = """SELECT witness, outcome, duration_ms, init_ms, init_type FROM invocation_facts
        WHERE function = {function:String} ORDER BY request_id, witness"""
    eventually(lambda: len(query(facts)) == 7)
    found = query(facts)
    assert [row for row in found if row[0] == "report"] == [
        ("report", "ok", 101.51, 116.67, ""),
        ("report", "timeout", 3000.0, None, ""),
        ("report", "error", 500.2, None, ""),
        ("report", "ok", 306.34, 511.25, "snap-start"),
    ]
    assert sorted(row[:2] for row in found if row[0] == "fault") == [("fault", "error"), ("fault", "timeout")]
    logs = "SELECT level, message FROM logs WHERE function = {function:String} ORDER BY message"
    eventually(lambda: len(query(logs)) == 4)
    assert query(logs)[-2:] == [("ERROR", "no stock"), ("INFO", "paid 3 orders")]


def test_throttles_and_embedded_metrics_can_be_asked_for(
    shared_store: Store, start_collector: StartCollector, eventually: Eventually, unique: str
) -> None:
    collector = start_collector(shared_store)
    metrics = (SAMPLES / "metric_stream.jsonl").read_bytes().replace(b"checkout", unique.encode())
    emf = (SAMPLES / "emf.json").read_text()
    message = {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": f"/aws/lambda/{unique}",
        "logStream": "2026/11/21/[1]abc",
        "logEvents": [{"id": "1", "timestamp": 1795248000000, "message": json.dumps(json.loads(emf))}],
    }
    delivery = Delivery((metrics, gzip.compress(json.dumps(message).encode())))
    for _ in range(2):
        assert delivery.post(collector.http_address).ok

    def query(sql: str) -> list[Any]:
        return list(shared_store.query(sql, {"function": unique}))

    points = """SELECT metric, kind, value, count, labels['FunctionName'] != '' FROM metric_points AS point
        JOIN (SELECT DISTINCT series, source, attributes AS labels FROM metric_series) AS line USING (series)
        WHERE source IN (SELECT source FROM metric_sources WHERE function = {function:String})
          AND metric NOT LIKE '%latency' ORDER BY metric, value, count"""
    eventually(lambda: len(query(points)) == 6)
    assert query(points) == [
        ("Shop/orders", "summary", 3.0, 1, 0),
        ("Shop/orders", "summary", 3.0, 1, 0),
        ("Shop/orders", "summary", 3.0, 1, 0),
        ("amazonaws.com/AWS/Lambda/ConcurrentExecutions", "summary", 120.0, 20, 1),
        ("amazonaws.com/AWS/Lambda/Duration", "summary", 900.0, 20, 1),
        ("amazonaws.com/AWS/Lambda/Throttles", "summary", 7.0, 20, 1),
    ]
    logs = "SELECT message FROM logs WHERE function = {function:String}"
    eventually(lambda: query(logs) == [("orders=3 latency=[10.5,2,30]",)])
