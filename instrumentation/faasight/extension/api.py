"""AWS's side of an extension: register, wait for the end, subscribe to the sandbox's telemetry.

Sources: docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html and .../telemetry-api-reference.html.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from http.client import HTTPMessage
    from typing import Any

_EXTENSION = "/2020-01-01/extension"
_TELEMETRY = "/2022-07-01/telemetry"
_SCHEMA = "2022-12-13"
_ID = "Lambda-Extension-Identifier"
# A batch leaves the sandbox after 100 ms or at 256 KiB, the least that AWS allows; 25 ms is its least time.
BUFFERING = {"maxItems": 1000, "maxBytes": 262_144, "timeoutMs": 100}


class ApiError(Exception):
    """AWS refused: what was asked, the status, and what it said."""


class ExtensionsApi:
    """One registered extension; `address` is AWS_LAMBDA_RUNTIME_API, host:port."""

    def __init__(self, address: str, name: str) -> None:
        # No time limit: the wait for the next event lasts for as long as the sandbox does, freezes included.
        self._connection = HTTPConnection(address)
        self._name = name
        self._identity: dict[str, str] = {}

    def register(self, events: Sequence[str]) -> dict[str, str]:
        """Join the sandbox; return functionName, functionVersion, handler and accountId. Raises ApiError."""
        named = {"Lambda-Extension-Name": self._name, "Lambda-Extension-Accept-Feature": "accountId"}
        headers, told = self._ask("POST", f"{_EXTENSION}/register", {"events": list(events)}, named)
        self._identity = {_ID: headers.get(_ID, "")}
        return {key: str(value) for key, value in json.loads(told).items()}

    def subscribe(self, uri: str, types: Sequence[str]) -> None:
        """Have the sandbox's telemetry posted to `uri`; possible only before the first `next`. Raises ApiError."""
        wish = {
            "schemaVersion": _SCHEMA,
            "types": list(types),
            "buffering": BUFFERING,
            "destination": {"protocol": "HTTP", "URI": uri},
        }
        self._ask("PUT", _TELEMETRY, wish, self._identity)

    def next(self) -> dict[str, Any]:
        """Say that we are done, and wait for what happens next. Raises ApiError."""
        event: dict[str, Any] = json.loads(self._ask("GET", f"{_EXTENSION}/event/next", None, self._identity)[1])
        return event

    def _ask(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> tuple[HTTPMessage, bytes]:
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status not in {200, 202}:
            raise ApiError(f"{method} {path} was answered {answer.status}: {told[:200].decode(errors='replace')}")
        return answer.headers, told
