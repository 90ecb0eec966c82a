"""Every trigger by a sample of its event, in the shape that the provider documents; one file each in `events/`."""

import json
from pathlib import Path
from typing import Any

import pytest
from faasight.spans import CONSUMER, SERVER
from faasight.triggers import Trigger, recognise

EVENTS = Path(__file__).parent / "events"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
XRAY = "5759e988bd862e3fe1be46a994272793"
SENT = 1_767_323_045_678  # 2026-01-02T03:04:05.678Z

# sample: (span's name, span's kind, faas.trigger, source kind, source name)
EXPECTED = {
    "active_mq": ("process orders", CONSUMER, "pubsub", "queue", "orders"),
    "alexa": ("alexa GetOrder", SERVER, "other", "service", "alexa"),
    "api_gateway_authorizer": ("authorize GET", SERVER, "http", "api", "rest123"),
    "api_gateway_authorizer_v2": ("authorize POST /orders", SERVER, "http", "api", "shop-api"),
    "api_gateway_v1": ("GET /orders/{id}", SERVER, "http", "api", "rest123"),
    "api_gateway_v2": ("POST /orders/{id}", SERVER, "http", "api", "shop-api"),
    "api_gateway_websocket": ("sendMessage", SERVER, "http", "api", "ws123"),
    "app_sync": ("Query.order", SERVER, "http", "api", "appsync"),
    "bedrock_agent": ("bedrock Claims /claims", SERVER, "other", "service", "bedrock"),
    "cloud_formation": ("cloudformation Create Primer", CONSUMER, "other", "service", "cloudformation"),
    "cloudfront": ("GET", SERVER, "http", "cdn", "EDFDVBD6EXAMPLE"),
    "cloudwatch_alarm": ("cloudwatch errors", CONSUMER, "other", "service", "cloudwatch"),
    "cloudwatch_logs": ("logs", CONSUMER, "other", "service", "logs"),
    "code_commit": ("codecommit shop", CONSUMER, "other", "service", "codecommit"),
    "code_deploy": ("codedeploy", CONSUMER, "other", "service", "codedeploy"),
    "code_pipeline": ("codepipeline", CONSUMER, "other", "service", "codepipeline"),
    "cognito": ("cognito PreSignUp_SignUp", SERVER, "other", "service", "cognito"),
    "config_rule": ("config encrypted", CONSUMER, "other", "service", "config"),
    "connect": ("connect", SERVER, "other", "service", "connect"),
    "docdb_stream": ("process shop.orders", CONSUMER, "datasource", "table", "shop.orders"),
    "dynamodb_stream": ("process orders", CONSUMER, "datasource", "table", "orders"),
    "event_bridge": ("process OrderPlaced", CONSUMER, "pubsub", "bus", "default"),
    "event_bridge_in_sqs": ("process order-queue", CONSUMER, "pubsub", "queue", "order-queue"),
    "firehose": ("transform to-lake", CONSUMER, "pubsub", "stream", "to-lake"),
    "function_url": ("GET", SERVER, "http", "url", "abc123"),
    "google_background_pubsub": ("process", CONSUMER, "pubsub", "topic", ""),
    "google_background_storage": ("process uploads", CONSUMER, "datasource", "bucket", "uploads"),
    "iot_button": ("iot SINGLE", CONSUMER, "pubsub", "iot", "button"),
    "iot_events": ("iot charged", CONSUMER, "pubsub", "iot", "battery"),
    "kinesis": ("process clicks", CONSUMER, "pubsub", "stream", "clicks"),
    "lambda_destination": ("destination of resize", CONSUMER, "other", "function", "resize"),
    "lex_v1": ("lex Order", SERVER, "other", "service", "lex"),
    "lex_v2": ("lex Order", SERVER, "other", "service", "lex"),
    "load_balancer": ("GET", SERVER, "http", "api", "shop-tg"),
    "load_balancer_multi_value": ("POST", SERVER, "http", "api", "shop-tg"),
    "msk": ("process orders", CONSUMER, "pubsub", "topic", "orders"),
    "pipes_kinesis": ("process clicks", CONSUMER, "pubsub", "stream", "clicks"),
    "pipes_sqs": ("process order-queue", CONSUMER, "pubsub", "queue", "order-queue"),
    "plain": ("invoke", SERVER, "other", None, None),
    "rabbit_mq": ("process orders", CONSUMER, "pubsub", "queue", "orders"),
    "s3": ("process uploads", CONSUMER, "datasource", "bucket", "uploads"),
    "s3_batch_operations": ("s3-batch-operations", SERVER, "other", "service", "s3-batch-operations"),
    "s3_event_bridge": ("process Object Created", CONSUMER, "pubsub", "bus", "default"),
    "s3_in_sns": ("process orders", CONSUMER, "pubsub", "topic", "orders"),
    "s3_in_sns_in_sqs": ("process order-queue", CONSUMER, "pubsub", "queue", "order-queue"),
    "s3_in_sqs": ("process order-queue", CONSUMER, "pubsub", "queue", "order-queue"),
    "s3_object_lambda": ("s3-object-lambda resized", SERVER, "other", "service", "s3-object-lambda"),
    "schedule_rule": ("schedule nightly", CONSUMER, "timer", "schedule", "nightly"),
    "schedule_scheduler": ("schedule nightly", CONSUMER, "timer", "schedule", "nightly"),
    "secrets_rotation": ("secretsmanager createSecret", CONSUMER, "other", "service", "secretsmanager"),
    "self_managed_kafka": ("process orders", CONSUMER, "pubsub", "topic", "orders"),
    "ses": ("ses", CONSUMER, "other", "service", "ses"),
    "sns": ("process orders", CONSUMER, "pubsub", "topic", "orders"),
    "sns_in_sqs": ("process order-queue", CONSUMER, "pubsub", "queue", "order-queue"),
    "sqs": ("process order-queue", CONSUMER, "pubsub", "queue", "order-queue"),
    "sqs_dead_letters": ("process order-dlq", CONSUMER, "pubsub", "queue", "order-dlq"),
    "sqs_fifo": ("process order-queue.fifo", CONSUMER, "pubsub", "queue", "order-queue.fifo"),
    "step_functions_input": ("invoke", SERVER, "other", None, None),
    "step_functions_task": ("task Pay", SERVER, "other", "workflow", "checkout"),
    "vpc_lattice": ("GET", SERVER, "http", "api", "svc-0a40"),
    "warm_up": ("warm-up", SERVER, "timer", None, None),
}


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def trigger(name: str) -> Trigger:
    return recognise(sample(name))


def test_every_sample_is_expected() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_each_trigger_is_told_from_the_others(name: str) -> None:
    found = trigger(name)
    attributes = found.attributes
    source = attributes.get("faasight.source.kind"), attributes.get("faasight.source.name")
    assert (found.name, found.kind, attributes["faas.trigger"], *source) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_no_payload_is_kept(name: str) -> None:
    """Each sample says "secret-of-the-payload", plain or in base 64, wherever the user's own data stand."""
    found = trigger(name)
    kept = repr((found.name, found.attributes, found.ids, found.trace_id, [p.state for p in found.parents]))
    assert "secret-of-the" not in kept
    assert "c2VjcmV0" not in kept


@pytest.mark.parametrize(
    "name",
    [
        "active_mq", "api_gateway_v1", "api_gateway_v2", "cloudfront", "event_bridge", "event_bridge_in_sqs",
        "function_url", "google_background_pubsub", "load_balancer_multi_value", "msk", "pipes_sqs", "rabbit_mq",
        "self_managed_kafka", "sns", "sns_in_sqs", "sqs", "step_functions_input", "vpc_lattice",
    ],
)  # fmt: skip
def test_the_context_is_found(name: str) -> None:
    first = trigger(name).parents[0]
    assert (first.trace_id, first.span_id) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "name", ["api_gateway_authorizer_v2", "app_sync", "load_balancer", "sqs_dead_letters", "sqs_fifo"]
)
def test_a_trace_of_x_ray_is_taken_where_there_is_no_other(name: str) -> None:
    found = trigger(name)
    assert (found.trace_id, found.parents) == (XRAY, [])


def test_the_tasks_of_an_execution_are_one_trace() -> None:
    event = sample("step_functions_task")
    ship = {**event, "State": {"Name": "Ship", "RetryCount": 0, "EnteredTime": "2026-01-02T03:04:05.678Z"}}
    other = {**event, "Execution": {"Id": event["Execution"]["Id"] + "x"}}
    traces = [recognise(one).trace_id for one in (event, ship, other)]
    assert traces[0] == traces[1] != traces[2]
    assert all(len(trace) == 32 for trace in traces)
    assert [recognise(one).attempt for one in (event, ship)] == [2, 1]
    assert recognise(ship).sent_ns == SENT * 1_000_000


@pytest.mark.parametrize(
    ("name", "sent_ms"),
    {
        "active_mq": SENT, "cloudwatch_alarm": SENT, "code_commit": SENT, "docdb_stream": SENT - 678,
        "dynamodb_stream": SENT - 678, "event_bridge": SENT - 678, "firehose": SENT,
        "google_background_storage": SENT, "iot_events": SENT, "kinesis": SENT + 2_000, "lambda_destination": SENT,
        "msk": SENT, "pipes_sqs": SENT + 1, "s3": SENT, "s3_in_sns_in_sqs": SENT + 1, "schedule_rule": SENT - 678,
        "schedule_scheduler": SENT - 678, "ses": SENT, "sns": SENT, "sns_in_sqs": SENT + 1, "sqs": SENT + 1,
    }.items(),
)  # fmt: skip
def test_the_oldest_time_of_sending_is_found(name: str, sent_ms: int) -> None:
    assert abs(trigger(name).sent_ns / 1e6 - sent_ms) <= 1  # a double holds Kinesis' seconds to a ms


@pytest.mark.parametrize(
    ("name", "last_ms"),
    {"docdb_stream": SENT - 678, "dynamodb_stream": SENT + 4_322, "kinesis": SENT + 3_000, "msk": SENT + 100}.items(),
)
def test_a_stream_tells_the_age_of_its_last_record(name: str, last_ms: int) -> None:
    assert abs(trigger(name).last_ns / 1e6 - last_ms) <= 1


@pytest.mark.parametrize(
    ("name", "attempt"),
    {"active_mq": 2, "rabbit_mq": 1, "sqs": 2, "sns_in_sqs": 2, "step_functions_task": 2, "sns": 0}.items(),
)
def test_the_attempt_is_counted(name: str, attempt: int) -> None:
    assert trigger(name).attempt == attempt


@pytest.mark.parametrize(
    ("name", "origin"),
    {
        "event_bridge_in_sqs": ("bus", "default"),
        "firehose": ("stream", "clicks"),
        "s3_event_bridge": ("bucket", "uploads"),
        "s3_in_sns": ("bucket", "uploads"),
        "s3_in_sns_in_sqs": ("bucket", "uploads"),
        "s3_in_sqs": ("bucket", "uploads"),
        "sns_in_sqs": ("topic", "orders"),
        "sqs_dead_letters": ("queue", "order-queue"),
    }.items(),
)
def test_envelopes_are_unwrapped_to_where_it_came_from(name: str, origin: tuple[str, str]) -> None:
    attributes = trigger(name).attributes
    assert (attributes["faasight.origin.kind"], attributes["faasight.origin.name"]) == origin


@pytest.mark.parametrize(
    ("name", "ids"),
    {
        "event_bridge": ["6a7e8feb-b491-4cf7-a9f1-bf3703467718"],
        "lambda_destination": ["e4b46cbf-b738-xmpl-8880-a18cdf61200e"],
        "msk": ["orders-0:15", "orders-1:3"],
        "s3": ["uploads/a red\u00e9/flower.jpg#b21b84d653bb07b05b1e6b33684dc11b"],
        "s3_in_sns_in_sqs": [
            "059f36b4-87a3-44ab-83d2-661970000001",
            "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
            "uploads/a red\u00e9/flower.jpg#b21b84d653bb07b05b1e6b33684dc11b",
        ],
        "step_functions_task": ["arn:aws:states:eu-central-1:123456789012:execution:checkout:4b6c1f2e"],
    }.items(),
)
def test_the_sender_s_ids_are_found(name: str, ids: list[str]) -> None:
    assert trigger(name).ids == ids


@pytest.mark.parametrize("name", ["sqs", "msk"])
def test_a_batch_has_a_context_for_each_record(name: str) -> None:
    found = trigger(name)
    assert found.records == len(found.parents) == found.attributes["messaging.batch.message_count"] == 2
