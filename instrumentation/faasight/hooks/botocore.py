"""Calls to AWS: one span an API call, with target, retries and throttles; message attributes carry the context on."""

from __future__ import annotations

from functools import wraps

from faasight import tracing
from faasight.complain import complaints
from faasight.context import current, outgoing, suppressed
from faasight.hooks import aws_targets, carry
from faasight.hooks.client import TOO_MANY_REQUESTS
from faasight.spans import CLIENT, PRODUCER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.spans import Span
    from faasight.tracing import Active

# Codes that botocore itself retries as throttling (botocore/retries/standard.py), and Lambda's own.
THROTTLES = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "SlowDown", "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip
_SEEN = "_faasight_listens"


def install(module: ModuleType, agent: Agent) -> None:
    """Patch `BaseClient._make_api_call`, which all clients and resources of boto3 lead to."""
    base = module.BaseClient
    original = base._make_api_call
    if hasattr(original, "__faasight__"):
        return

    @wraps(original)
    def _make_api_call(self: Any, operation_name: str, api_params: Any) -> Any:  # noqa: ANN401 - botocore has no types
        call = _begin(agent, self, operation_name, api_params)
        if call is None:
            return original(self, operation_name, api_params)
        active, parameters = call
        token = suppressed.set(True)  # botocore's own urllib3 call is this very call
        try:
            response = original(self, operation_name, parameters)
        except BaseException as error:
            _end(active, getattr(error, "response", None), error)
            raise
        else:
            _end(active, response, None)
            return response
        finally:
            suppressed.reset(token)

    _make_api_call.__faasight__ = True  # type: ignore[attr-defined]  # a mark on a function
    base._make_api_call = _make_api_call


def _begin(agent: Agent, client: Any, operation: str, parameters: Any) -> tuple[Active, Any] | None:  # noqa: ANN401 - untyped
    try:
        service = client.meta.service_model.service_id
        target = aws_targets.describe(service, operation, parameters if isinstance(parameters, dict) else {})
        active = tracing.begin(target.name, PRODUCER if target.sends else CLIENT, target.attributes)
        if active is None:
            return None
    except Exception as error:  # noqa: BLE001 - the call goes out unobserved
        complaints.failure("botocore", error)
        return None
    try:
        _listen(client)
        if isinstance(parameters, dict):
            parameters = carry.context(service, operation, parameters, *outgoing(active.span, agent.service))
    except Exception as error:  # noqa: BLE001 - the call goes out without its context, and is seen
        complaints.failure("botocore context", error)
    return active, parameters


def _listen(client: Any) -> None:  # noqa: ANN401 - untyped
    """Look at each attempt's answer: a throttle that a retry overcame is no error, and yet must be seen."""
    if _SEEN not in client.__dict__:
        client.__dict__[_SEEN] = True
        client.meta.events.register_first("response-received", _attempt, unique_id="faasight")


def _attempt(parsed_response: Any = None, **_: Any) -> None:  # noqa: ANN401 - untyped
    span = current.get()
    if span is not None and isinstance(parsed_response, dict):
        _note_throttle(span, parsed_response)


def _note_throttle(span: Span, response: dict[str, Any]) -> None:
    error, metadata = response.get("Error"), response.get("ResponseMetadata")
    code = error.get("Code", "") if isinstance(error, dict) else ""
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else 0
    if code in THROTTLES or status == TOO_MANY_REQUESTS:
        span.attributes["faasight.throttled"] = True


def _end(active: Active, response: Any, error: BaseException | None) -> None:  # noqa: ANN401 - untyped
    try:
        span = active.span
        if isinstance(response, dict):
            _note_response(span, response)
        if error is not None:
            span.fail_with(error)
            code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
            if code:
                span.attributes["error.type"] = code
        active.end()
    except Exception as failed:  # noqa: BLE001 - the caller's response is what counts
        complaints.failure("botocore span", failed)


def _note_response(span: Span, response: dict[str, Any]) -> None:
    metadata = response.get("ResponseMetadata") or {}
    for key, attribute in (
        ("RequestId", "aws.request_id"),
        ("HTTPStatusCode", "http.response.status_code"),
        ("RetryAttempts", "http.request.resend_count"),
    ):
        if metadata.get(key):
            span.attributes[attribute] = metadata[key]
    if span.kind == PRODUCER and isinstance(response.get("MessageId"), str):
        span.attributes["messaging.message.id"] = response["MessageId"]
    if isinstance(response.get("FunctionError"), str):
        span.fail(response["FunctionError"], "the invoked function failed")
    _note_throttle(span, response)
