"""What a mapping's on-failure destination is told of records that were given up. Source: Lambda developer guide."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import orjson

from faasight_emulator.invocation import Result
from faasight_emulator.model import Function, Place
from faasight_emulator.sources.shards import Record, Shard

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]
_INFO = {"kinesis": "KinesisBatchInfo", "dynamodb": "DDBStreamBatchInfo"}


def discard_record(
    function: Function,
    place: Place,
    shard: Shard,
    records: Sequence[Record],
    condition: Condition,
    result: Result | None,
    attempts: int,
    *,
    whole: bool = False,
) -> str:
    """Return the JSON text: who gave up which records and why. `result` is the last attempt's.

    With `whole`, as a bucket gets it, the event with the records is in it, as text.
    """
    context: dict[str, object] = {"statusCode": 200, "executedVersion": function.version}
    if result is not None and not result.ok:
        context["functionError"] = "Unhandled"
    record: dict[str, object] = {
        "requestContext": {
            "requestId": result.request_id if result else "",
            "functionArn": function.arn(place),
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "responseContext": context if result else None,
        "version": "1.0",
        "timestamp": _text(datetime.now(UTC).timestamp()),
        _INFO[shard.stream_arn.split(":")[2]]: {
            "shardId": shard.id,
            "startSequenceNumber": records[0].sequence,
            "endSequenceNumber": records[-1].sequence,
            "approximateArrivalOfFirstRecord": _text(records[0].arrival),
            "approximateArrivalOfLastRecord": _text(records[-1].arrival),
            "batchSize": len(records),
            "streamArn": shard.stream_arn,
        },
    }
    if whole:
        record["payload"] = orjson.dumps({"Records": [one.event for one in records]}).decode()
    return orjson.dumps(record).decode()


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
