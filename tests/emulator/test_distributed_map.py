"""Distributed Map: items from S3 in its formats, batches, results in S3, and what cannot be read or written."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from faasight_emulator import Emulator
from faasight_emulator.aws import Clients
from faasight_emulator.states.definition import problem_of
from faasight_emulator.states.errors import StatesError
from faasight_emulator.states.items import batches, read_items

Start = Callable[..., Emulator]
CSV = b'\xef\xbb\xbfid,name\r\n1,"a, b"\r\n\r\n2\r\n'


class Objects:
    """A bucket of one object."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def get(self, bucket: str, key: str) -> bytes:
        """Return it."""
        assert (bucket, key) == ("b", "k")
        return self._body

    async def listing(self, bucket: str, prefix: str) -> list[dict[str, Any]]:
        """Return none."""
        raise AssertionError(f"{bucket}/{prefix} is not asked for")

    async def put(self, bucket: str, key: str, body: bytes) -> None:
        """Take none."""
        raise AssertionError(f"{bucket}/{key} is not written: {body!r}")


def read(body: bytes, **config: Any) -> list[Any]:
    reader = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config}
    return asyncio.run(read_items(reader, {"Bucket": "b", "Key": "k"}, Objects(body)))


def test_formats() -> None:
    """A list, JSON lines, CSV with headers in it or given; at most so many."""
    assert read(b"[1, {}]") == [1, {}]
    assert read(b"1\n\n{}\n", InputType="JSONL") == [1, {}]
    rows = [{"id": "1", "name": "a, b"}, {"id": "2", "name": ""}]
    assert read(CSV, InputType="CSV", CSVHeaderLocation="FIRST_ROW") == rows
    assert read(CSV, InputType="CSV", CSVHeaderLocation="FIRST_ROW", MaxItems=1) == rows[:1]
    given = {"CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x", "y"], "CSVDelimiter": "PIPE"}
    assert read(b"1|2\n", InputType="CSV", **given) == [{"x": "1", "y": "2"}]
    assert read(b"", InputType="CSV") == []


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{}", "JSON"), (b"[", "JSON"), (b"\xff", "CSV"), (b"{", "JSONL"), (b"PAR1", "PARQUET")]
)
def test_what_cannot_be_read(body: bytes, kind: str) -> None:
    """Each is the error of AWS, which may be caught."""
    with pytest.raises(StatesError) as caught:
        read(body, InputType=kind)
    assert caught.value.name == "States.ItemReaderFailed"


def test_batches() -> None:
    """By number, by bytes, with what all of them get."""
    assert batches([1, 2, 3], {"MaxItemsPerBatch": 2}, None) == [{"Items": [1, 2]}, {"Items": [3]}]
    common = {"a": 1}
    assert batches(["xxxx", "y", "zzzzzz"], {"MaxInputBytesPerBatch": 10}, common) == [
        {"BatchInput": common, "Items": ["xxxx", "y"]},
        {"BatchInput": common, "Items": ["zzzzzz"]},
    ]
    assert batches([], {"MaxItemsPerBatch": 2}, None) == []
    flow = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    state = {"Type": "Map", "End": True, "ItemProcessor": flow, "ItemReader": {"Resource": "arn:aws:states:::x"}}
    assert "has an ItemReader whose Resource is none of" in (problem_of({"StartAt": "M", "States": {"M": state}}) or "")


def test_from_s3_to_s3(start: Start) -> None:
    """Rows of an object go to the function in batches; what came of them is in the bucket, with a manifest."""
    choose = {
        "StartAt": "Is",
        "States": {
            "Is": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.Items[0].id", "StringEquals": "3", "Next": "Bad"}],
                "Default": "Good",
            },
            "Bad": {"Type": "Fail", "Error": "Odd", "Cause": "it is three"},
            "Good": {"Type": "Task", "Resource": "${Echo}", "End": True},
        },
    }
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
    }
    definition = {
        "StartAt": "All",
        "States": {
            "All": {
                "Type": "Map",
                "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **choose},
                "ItemReader": {**reader, "Parameters": {"Bucket": "${Rows}", "Key.$": "$.key"}},
                "ItemSelector": {"id.$": "$$.Map.Item.Value.id", "of.$": "$.key"},
                "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"by.$": "$.key"}},
                "ResultWriter": {
                    "Resource": "arn:aws:states:::s3:putObject",
                    "Parameters": {"Bucket": "${Rows}", "Prefix": "out"},
                },
                "ToleratedFailureCount": 1,
                "End": True,
            }
        },
    }
    emulator = start(f"""
  Rows: {{Type: AWS::S3::Bucket}}
  Echo: {{Type: AWS::Serverless::Function, Properties: {{Handler: steps.echo}}}}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {json.dumps(definition)}
      DefinitionSubstitutions: {{Echo: !GetAtt Echo.Arn, Rows: !Ref Rows}}
""")
    s3 = Clients(emulator.place).get("s3")
    s3.put_object(Bucket="rows", Key="in.csv", Body=b"id\n1\n2\n3\n")
    done = emulator.execute("flow", {"key": "in.csv"})
    assert done.status == "SUCCEEDED", (done.error, done.cause)
    told = json.loads(done.output)["ResultWriterDetails"]

    def fetched(key: str) -> Any:
        return json.loads(s3.get_object(Bucket="rows", Key=key)["Body"].read())

    manifest = fetched(told["Key"])
    assert told["Key"].startswith("out/")
    assert [len(manifest["ResultFiles"][status]) for status in ("SUCCEEDED", "FAILED", "PENDING")] == [1, 1, 0]
    (good,) = fetched(manifest["ResultFiles"]["SUCCEEDED"][0]["Key"])
    items = [{"id": "1", "of": "in.csv"}, {"id": "2", "of": "in.csv"}]
    assert json.loads(good["Output"]) == {"BatchInput": {"by": "in.csv"}, "Items": items}
    (bad,) = fetched(manifest["ResultFiles"]["FAILED"][0]["Key"])
    assert (bad["Error"], json.loads(bad["Input"])["Items"]) == ("Odd", [{"id": "3", "of": "in.csv"}])
    lost = emulator.execute("flow", {"key": "none.csv"})
    assert (lost.status, lost.error) == ("FAILED", "States.ItemReaderFailed")
