"""One shard of a Kinesis stream or of a DynamoDB table's stream, read page by page into Lambda's records."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from faasight_emulator.aws import Client, Clients
from faasight_emulator.model import Place
from faasight_emulator.sources.model import StreamSource

_PAGE = 1000  # records a GetRecords, DynamoDB's limit
_VIEW = ("Keys", "NewImage", "OldImage")


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `arrival` is in seconds since 1970; `event` is Lambda's record, `size` its bytes as JSON."""

    sequence: str
    key: str
    arrival: float
    event: dict[str, Any]
    size: int


class Shard(Protocol):
    """Something that records are read from in order."""

    id: str
    stream_arn: str

    def read(self) -> list[Record]:
        """Return the next records, none if there are none yet. Raises ClientError, BotoCoreError."""


def open_shards(source: StreamSource, place: Place, clients: Clients) -> list[Shard]:
    """Return a stream's shards, each at the source's starting position. Raises ClientError, BotoCoreError."""
    if source.kind == "kinesis":
        kinesis = clients.get("kinesis")
        listed = kinesis.list_shards(StreamName=source.name)["Shards"]
        return [KinesisShard(kinesis, source, place, one["ShardId"]) for one in listed]
    table = clients.get("dynamodb").describe_table(TableName=source.name)["Table"]
    streams = clients.get("dynamodbstreams")
    arn = table["LatestStreamArn"]
    listed = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return [TableShard(streams, source, place, arn, one["ShardId"]) for one in listed]


class KinesisShard:
    """A shard of a data stream."""

    def __init__(self, kinesis: Client, source: StreamSource, place: Place, shard: str) -> None:
        self.id = shard
        self.stream_arn = source.arn
        self._kinesis = kinesis
        self._place = place
        when = {} if source.timestamp is None else {"Timestamp": source.timestamp}
        answer = kinesis.get_shard_iterator(
            StreamName=source.name, ShardId=shard, ShardIteratorType=source.position, **when
        )
        self._iterator = answer["ShardIterator"]

    def read(self) -> list[Record]:
        """Return the next records."""
        answer = self._kinesis.get_records(ShardIterator=self._iterator, Limit=_PAGE)
        self._iterator = answer["NextShardIterator"]
        return [self._record(one) for one in answer["Records"]]

    def _record(self, record: dict[str, Any]) -> Record:
        arrival = record["ApproximateArrivalTimestamp"].timestamp()
        event = {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": base64.b64encode(record["Data"]).decode(),
                "approximateArrivalTimestamp": round(arrival, 3),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{self.id}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": f"arn:aws:iam::{self._place.account}:role/lambda-role",
            "awsRegion": self._place.region,
            "eventSourceARN": self.stream_arn,
        }
        return Record(record["SequenceNumber"], record["PartitionKey"], arrival, event, len(orjson.dumps(event)))


class TableShard:
    """A shard of a table's stream. moto has one for each table."""

    def __init__(self, streams: Client, source: StreamSource, place: Place, arn: str, shard: str) -> None:
        self.id = shard
        self.stream_arn = arn
        self._streams = streams
        self._place = place
        answer = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=source.position)
        self._iterator = answer["ShardIterator"]

    def read(self) -> list[Record]:
        """Return the next records."""
        answer = self._streams.get_records(ShardIterator=self._iterator, Limit=_PAGE)
        if answer["Records"]:  # else the old one still serves, and moto keeps each that is made
            self._iterator = answer["NextShardIterator"]
        return [self._record(one) for one in answer["Records"]]

    def _record(self, record: dict[str, Any]) -> Record:
        change = dict(record["dynamodb"])
        made: datetime = change["ApproximateCreationDateTime"]
        change["ApproximateCreationDateTime"] = float(int(made.timestamp()))  # whole seconds, as AWS gives them
        change |= {view: _plain(change[view]) for view in _VIEW if view in change}
        event = {
            "eventID": record["eventID"],
            "eventName": record["eventName"],
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self._place.region,
            "dynamodb": change,
            "eventSourceARN": self.stream_arn,
        }
        key = orjson.dumps(change["Keys"], option=orjson.OPT_SORT_KEYS).decode()
        return Record(change["SequenceNumber"], key, made.timestamp(), event, len(orjson.dumps(event)))


def _plain(value: Any) -> Any:  # noqa: ANN401 -- DynamoDB's typed values, nested at will
    """Return an item with its binary values in base64, as JSON has them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def split(records: list[Record], lanes: int) -> Iterator[list[Record]]:
    """Return the records by lane, in order; all of one key are in one lane, whatever the lanes' number."""
    for lane in range(lanes):
        yield [one for one in records if lanes == 1 or sum(one.key.encode()) % lanes == lane]
