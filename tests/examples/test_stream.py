"""The stream example as a whole: readings become alarms, and a poison record stops nothing."""

import json
from collections.abc import Iterator

import pytest
from faasight_emulator import Emulator, SourceKey
from faasight_emulator.aws import Clients
from local_app import call, running
from polling import wait_until


@pytest.fixture(scope="module")
def stream() -> Iterator[Emulator]:
    """Run the template unchanged."""
    with running("stream") as emulator:
        yield emulator


def send(stream: Emulator, *readings: tuple[str, str, object]) -> None:
    given = [{"device": device, "at": at, "celsius": celsius} for device, at, celsius in readings]
    assert call(stream, "POST", "/readings", json.dumps(given).encode()) == (202, {"refused": 0})


def test_the_hottest_reading_is_projected(stream: Emulator) -> None:
    send(stream, ("oven", "12:00", 85), ("oven", "12:01", 91.5), ("oven", "12:02", 20), ("fridge", "12:00", 4))
    wanted = (200, {"hottest": 91.5, "at": "12:01"})
    wait_until(lambda: call(stream, "GET", "/alarms/oven") == wanted, "the oven is known as hot")
    assert call(stream, "GET", "/alarms/fridge")[0] == 404
    changes = stream.source_counts()[SourceKey("project", "table", "readings")]
    assert (changes.received, changes.filtered) == (4, 2)


def test_a_poison_record_is_put_aside_and_stops_nothing(stream: Emulator) -> None:
    send(stream, ("kiln", "1", 100), ("kiln", "2", "?"), ("kiln", "3", 300), ("kiln", "4", 200))
    wanted = (200, {"hottest": 300.0, "at": "3"})
    wait_until(lambda: call(stream, "GET", "/alarms/kiln") == wanted, "what came behind it is projected")
    url = f"{stream.place.aws_endpoint}/{stream.place.account}/poison-queue"
    told = wait_until(
        lambda: Clients(stream.place).get("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"),
        "it came",
    )
    record = json.loads(told[0]["Body"])
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["KinesisBatchInfo"]["batchSize"] == 1
    counts = stream.source_counts()[SourceKey("enrich", "stream", "readings-stream")]
    assert (counts.discarded, counts.received) == (1, counts.processed + 1)
    assert counts.batches == stream.counts()["enrich"].invocations
