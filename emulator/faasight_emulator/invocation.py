"""One invocation as it travels: what is asked, and what came of it."""

import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Any  # any value that JSON has
Status = Literal["success", "error", "failure", "timeout"]

# Lambda's limits on a synchronous invocation's payload, both ways (6 MB, and the envelope of an error).
MAX_PAYLOAD = 6 * 1024 * 1024
MAX_RESPONSE = MAX_PAYLOAD + 100


def new_trace_header(sampled: bool = False) -> str:
    """Return an X-Ray trace header of a new trace, as AWS makes it."""
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled={int(sampled)}"


def same_trace(header: str) -> str:
    """Return a header of the same trace with another parent: what a retry gets, which is an attempt of one trace."""
    parts = [part for part in header.split(";") if not part.startswith("Parent=")]
    return ";".join([parts[0], f"Parent={secrets.token_hex(8)}", *parts[1:]])


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a function is asked: the event (JSON bytes) and what comes with it.

    `client_context` is JSON text; `arn` is that by which the function was invoked, if not its own. An invocation that
    Lambda retries keeps its `request_id`.
    """

    event: bytes
    trace_header: str = field(default_factory=new_trace_header)
    client_context: str = ""
    arn: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `payload` is the function's answer, or Lambda's error object when `status` is no success.

    `version` is the one that ran.
    """

    request_id: str
    status: Status
    payload: bytes = b""
    error_type: str | None = None
    version: str = "$LATEST"

    @property
    def ok(self) -> bool:
        """Whether the function answered without an error."""
        return self.status == "success"

    def json(self) -> Json:
        """Return the payload decoded; None if there is none."""
        return json.loads(self.payload) if self.payload else None


def error_payload(error_type: str, message: str) -> bytes:
    """Return the error object that Lambda itself answers."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
