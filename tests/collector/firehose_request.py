"""Requests as Amazon Data Firehose sends them."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import requests


@dataclass(frozen=True)
class Delivery:
    """One request with its id; to send it again is to repeat it."""

    records: tuple[bytes, ...]
    request_id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def body(self) -> bytes:
        """Return the JSON body."""
        records = [{"data": base64.b64encode(record).decode()} for record in self.records]
        document = {"requestId": self.request_id, "timestamp": 1795248000000, "records": records}
        return json.dumps(document).encode()

    def headers(self, **common: str) -> dict[str, str]:
        """Return Firehose's headers, with common attributes if there are any."""
        found = {
            "X-Amz-Firehose-Protocol-Version": "1.0",
            "X-Amz-Firehose-Request-Id": self.request_id,
            "X-Amz-Firehose-Source-Arn": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/faasight",
            "X-Amz-Firehose-Access-Key": "unused",
            "Content-Type": "application/json",
        }
        if common:
            found["X-Amz-Firehose-Common-Attributes"] = json.dumps({"commonAttributes": common})
        return found

    def post(self, address: str, *, body: bytes | None = None, **headers: Any) -> requests.Response:
        """Send it to a collector."""
        named = self.headers() | headers
        return requests.post(f"http://{address}/v1/aws/firehose", body or self.body, headers=named, timeout=180)
