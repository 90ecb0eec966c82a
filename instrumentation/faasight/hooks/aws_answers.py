"""What an answer of AWS tells: ids by which its consumers are found, throttles, and the failed part of a batch."""

from __future__ import annotations

from faasight.hooks.client import TOO_MANY_REQUESTS
from faasight.spans import PRODUCER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from faasight.spans import Span

    Answer = dict[str, Any]

# Codes that botocore itself retries as throttling (botocore/retries/standard.py), and Lambda's own.
THROTTLES = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "SlowDown", "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip
_ACCEPTED = 202  # Lambda's answer to InvocationType=Event
MAX_IDS = 100  # of a batch, kept on its span: Kinesis takes 500 records, of 56 characters an id
SENT_IDS = "faasight.sent.ids"  # the same strings as `faasight.source.ids` of the invocation that they lead to
_WRITES = frozenset(
    {"PutObject", "CompleteMultipartUpload", "CopyObject"}
)  # with an ETag in the answer, and a notification of it
_ID_KEYS = ("MessageId", "SequenceNumber", "EventId")


def note(span: Span, answer: Answer) -> None:
    """Write what the answer of a whole call tells into its span."""
    metadata = answer.get("ResponseMetadata") or {}
    for key, attribute in (
        ("RequestId", "aws.request_id"),
        ("HTTPStatusCode", "http.response.status_code"),
        ("RetryAttempts", "http.request.resend_count"),
    ):
        if metadata.get(key):
            span.attributes[attribute] = metadata[key]
    if isinstance(answer.get("FunctionError"), str):
        span.fail(answer["FunctionError"], "the invoked function failed")
    note_throttle(span, answer)
    if span.kind == PRODUCER:
        _note_messages(span, answer)
    elif "faas.invoked_name" in span.attributes and metadata.get("HTTPStatusCode") == _ACCEPTED:
        # Lambda hands no ClientContext on to what it calls later; but its request will have this id.
        span.attributes[SENT_IDS] = [str(metadata.get("RequestId", ""))]
    elif isinstance(answer.get("executionArn"), str):
        span.attributes["faasight.execution_id"] = answer["executionArn"]
    elif "aws.s3.bucket" in span.attributes and isinstance(told := _etag(answer), str):
        etag = told.strip('"')  # as it stands in the bucket's notification
        span.attributes["faasight.s3.etag"] = etag
        if span.attributes.get("rpc.method") in _WRITES:
            bucket, key = span.attributes["aws.s3.bucket"], span.attributes.get("aws.s3.key", "")
            span.attributes[SENT_IDS] = [f"{bucket}/{key}#{etag}"]


def _etag(answer: Answer) -> object:
    copied = answer.get("CopyObjectResult")
    return copied.get("ETag") if isinstance(copied, dict) else answer.get("ETag")


def note_throttle(span: Span, answer: Answer) -> None:
    """Mark the span if this answer, or one attempt's, is a throttle."""
    error, metadata = answer.get("Error"), answer.get("ResponseMetadata")
    code = error.get("Code", "") if isinstance(error, dict) else ""
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else 0
    if code in THROTTLES or status == TOO_MANY_REQUESTS:
        span.attributes["faasight.throttled"] = True


def _note_messages(span: Span, answer: Answer) -> None:
    """Note the ids that the consumer's event will have, and the entries that were refused in an answer of 200."""
    entries = _entries(answer)
    ids = [name for entry in entries or [answer] if (name := _id(entry))]
    codes = [code for entry in entries if (code := entry.get("ErrorCode") or entry.get("Code"))]
    if entries:
        span.attributes["messaging.batch.message_count"] = len(entries)
    if len(ids) == 1:
        span.attributes["messaging.message.id"] = ids[0]
    if ids:
        span.attributes[SENT_IDS] = ids[:MAX_IDS]
    if codes:
        span.attributes["faasight.batch.failures"] = len(codes)
        span.fail(str(codes[0]), f"{len(codes)} of {len(entries)} were refused")
        if not THROTTLES.isdisjoint(codes):
            span.attributes["faasight.throttled"] = True


def _entries(answer: Answer) -> list[Answer]:
    """Return what became of each entry: Kinesis and EventBridge have one list of all, SQS and SNS two."""
    lists = (answer.get(key) for key in ("Records", "Entries", "Successful", "Failed"))
    return [entry for items in lists if isinstance(items, list) for entry in items if isinstance(entry, dict)]


def _id(entry: Answer) -> str:
    for key in _ID_KEYS:
        value = entry.get(key)
        if value and isinstance(value, str):
            return value
    return ""
