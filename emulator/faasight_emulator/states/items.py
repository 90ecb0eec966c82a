"""What a distributed Map works on and leaves behind: items of S3, batches of them, results written to S3.

Source: Step Functions developer guide, "Using Map state in Distributed mode". Items run here as those of an inline Map.
"""

import csv
import io
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from faasight_emulator.invocation import Json
from faasight_emulator.states.errors import READER, WRITER, StatesError

_MAX_FILE = 64 * 1024 * 1024  # bytes; AWS takes more, here all is in memory


class Bucket(Protocol):
    """S3, as far as it is needed here. All raise StatesError."""

    async def get(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes."""

    async def listing(self, bucket: str, prefix: str) -> list[dict[str, Json]]:
        """Return what ListObjectsV2 tells of the objects below a prefix."""

    async def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object."""


async def read_items(reader: Mapping[str, Any], where: Mapping[str, Any], s3: Bucket) -> list[Json]:
    """Return the items of an ItemReader; `where` are its arguments, filled in. Raises StatesError."""
    config = reader.get("ReaderConfig", {})
    bucket = str(where.get("Bucket", ""))
    if str(reader.get("Resource", "")).endswith(":listObjectsV2"):
        items: list[Json] = list(await s3.listing(bucket, str(where.get("Prefix", ""))))
    else:
        body = await s3.get(bucket, str(where.get("Key", "")))
        if len(body) > _MAX_FILE:
            raise StatesError(READER, f"the object is larger than {_MAX_FILE >> 20} MB, more than is emulated")
        items = _parsed(body, str(config.get("InputType", "JSON")), config)
    most = int(config.get("MaxItems", 0))
    return items[:most] if most else items


def _parsed(body: bytes, kind: str, config: Mapping[str, Any]) -> list[Json]:
    try:
        text = body.decode("utf-8-sig")
        if kind == "CSV":
            return list(_rows(text, config))
        if kind == "JSONL":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        items = json.loads(text)
    except (ValueError, csv.Error) as error:
        raise StatesError(READER, f"the object is no {kind}: {error}") from error
    if kind != "JSON" or not isinstance(items, list):
        what = f"InputType {kind} is not emulated" if kind != "JSON" else "the object holds no list"
        raise StatesError(READER, f"{what}; it may be JSON (a list), JSONL or CSV")
    return items


def _rows(text: str, config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    delimiters = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiters[str(config.get("CSVDelimiter", "COMMA"))])
    given = config.get("CSVHeaders") if config.get("CSVHeaderLocation") == "GIVEN" else None
    names = given or next(rows, [])
    for row in rows:
        if row:
            yield dict(zip(names, [*row, *[""] * len(names)], strict=False))


def batches(items: Sequence[Json], batcher: Mapping[str, Any], common: Json) -> list[Json]:
    """Return the inputs that an ItemBatcher makes: at most so many items, or bytes of them; `common` is BatchInput."""
    most, limit = int(batcher.get("MaxItemsPerBatch", 0)), int(batcher.get("MaxInputBytesPerBatch", 0))
    made: list[list[Json]] = []
    size = 0
    for item in items:
        size += len(json.dumps(item))
        if not made or (most and len(made[-1]) >= most) or (limit and size > limit):
            made.append([])
            size = len(json.dumps(item))
        made[-1].append(item)
    shared = {} if common is None else {"BatchInput": common}
    return [{**shared, "Items": batch} for batch in made]


async def write_results(where: Mapping[str, Any], inputs: Sequence[Json], outcomes: Sequence[Json], s3: Bucket) -> Json:
    """Write what became of the items, as a ResultWriter does, and return the Map's output. Raises StatesError.

    An outcome is an output or a StatesError.
    """
    bucket, run = str(where.get("Bucket", "")), str(uuid.uuid4())
    folder = "/".join(part for part in (str(where.get("Prefix", "")).strip("/"), run) if part)
    files: dict[str, list[dict[str, Json]]] = {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
    for given, outcome in zip(inputs, outcomes, strict=True):
        told: dict[str, Json] = {"Input": json.dumps(given), "Name": str(uuid.uuid4())}
        if isinstance(outcome, StatesError):
            files["FAILED"].append({**told, "Status": "FAILED", "Error": outcome.name, "Cause": outcome.cause})
        else:
            files["SUCCEEDED"].append({**told, "Status": "SUCCEEDED", "Output": json.dumps(outcome)})
    listed: dict[str, list[Json]] = {status: [] for status in files}
    for status, results in files.items():
        if results:
            key, body = f"{folder}/{status}_0.json", json.dumps(results).encode()
            await s3.put(bucket, key, body)
            listed[status].append({"Key": key, "Size": len(body)})
    manifest = {"DestinationBucket": bucket, "MapRunArn": run, "ResultFiles": listed}
    key = f"{folder}/manifest.json"
    await s3.put(bucket, key, json.dumps(manifest).encode())
    return {"MapRunArn": run, "ResultWriterDetails": {"Bucket": bucket, "Key": key}}


def writing_failed(error: Exception) -> StatesError:
    """Return the error of a ResultWriter that could not write."""
    return StatesError(WRITER, str(error))


def reading_failed(error: Exception) -> StatesError:
    """Return the error of an ItemReader that could not read."""
    return StatesError(READER, str(error))
