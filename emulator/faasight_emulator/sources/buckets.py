"""S3 buckets: moto keeps the objects and tells of them; what it leaves out of an event is put in on its way.

Every notification, to whatever target, comes by way of one inbox; its configuration's id says whose it is.
"""

import contextlib
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from faasight_emulator.aws import Client, Clients, making
from faasight_emulator.model import Place
from faasight_emulator.sources.model import Bucket, Notification
from faasight_emulator.sources.pushing import Pusher


def create_buckets(clients: Clients, place: Place, buckets: Sequence[Bucket]) -> None:
    """Make the buckets. Raises StartError."""
    s3 = clients.get("s3")
    elsewhere = {} if place.region == "us-east-1" else {"LocationConstraint": place.region}
    for bucket in buckets:
        owned = s3.exceptions.BucketAlreadyOwnedByYou
        with making(f"The bucket '{bucket.name}'", place), contextlib.suppress(owned):
            s3.create_bucket(Bucket=bucket.name, **({"CreateBucketConfiguration": elsewhere} if elsewhere else {}))
        if bucket.versioned:
            s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})


class BucketDelivery:
    """Brings the events of all buckets to who asked for them. `pusher` takes a kind and a name."""

    def __init__(self, notifications: Sequence[Notification], pusher: Callable[[str, str], Pusher]) -> None:
        self._by_id = {str(uuid.uuid4()): one for one in notifications}
        self._pusher = pusher

    def configure(self, s3: Client, buckets: Sequence[Bucket], inbox_arn: str) -> None:
        """Have the buckets tell the inbox. Raises ClientError, BotoCoreError."""
        for bucket in buckets:
            queues = [
                _configuration(key, one, inbox_arn) for key, one in self._by_id.items() if one.bucket == bucket.name
            ]
            configuration: dict[str, Any] = {"QueueConfigurations": queues}
            if bucket.bridge:
                configuration["EventBridgeConfiguration"] = {}
            if queues or bucket.bridge:
                s3.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=configuration)

    def handle(self, body: str) -> None:
        """Bring one event on its way. S3's own test event goes nowhere."""
        event = json.loads(body)
        for record in event.get("Records", []):
            asked = self._by_id.get(record["s3"]["configurationId"])
            if asked is not None:
                self._pusher("bucket", asked.bucket).send(asked.target, json.dumps({"Records": [complete(record)]}))


def _configuration(key: str, one: Notification, queue_arn: str) -> dict[str, Any]:
    given = {"prefix": one.prefix, "suffix": one.suffix}
    rules = [{"Name": name, "Value": value} for name, value in given.items() if value]
    chosen = {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}
    return {"Id": key, "QueueArn": queue_arn, "Events": list(one.events), **chosen}


def bridged_detail(detail_type: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the detail of a bucket's event on a bus as S3 has it; moto's differs in names, and has no order."""
    given = detail["object"]
    thing: dict[str, Any] = {"key": given["key"]}
    more: dict[str, Any] = {"reason": "PutObject"}
    if detail_type == "Object Deleted":
        more = {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"}
    else:
        thing |= {"size": given["size"], "etag": given["eTag"]}
    if given.get("version-id"):
        thing["version-id"] = given["version-id"]
    return {
        "version": "0",
        "bucket": detail["bucket"],
        "object": {**thing, "sequencer": f"{time.time_ns():018X}"},
        "request-id": secrets.token_hex(8).upper(),
        "requester": detail["requester"],
        "source-ip-address": "127.0.0.1",
        **more,
    }


def complete(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return moto's record with what S3 has besides: who, by which request, and the order of events of one key."""
    s3 = record["s3"]
    # S3 leaves the slashes of a key as they are.
    key = s3["object"]["key"].replace("%2F", "/")
    thing = {**s3["object"], "key": key, "sequencer": f"{time.time_ns():018X}"}
    if record["eventName"].startswith("ObjectRemoved"):
        thing = {name: value for name, value in thing.items() if name not in ("size", "eTag")}
    owner = {"principalId": "A1LOCALEMULATOR"}
    return {
        **record,
        "userIdentity": {"principalId": "AWS:AIDALOCALEMULATOR"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {
            "x-amz-request-id": secrets.token_hex(8).upper(),
            "x-amz-id-2": secrets.token_urlsafe(48),
        },
        "s3": {**s3, "bucket": {**s3["bucket"], "ownerIdentity": owner}, "object": thing},
    }
