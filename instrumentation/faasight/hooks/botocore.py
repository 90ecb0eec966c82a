"""Calls to AWS: one span an API call, with target, ids, retries and throttles; the context goes along where it can."""

from __future__ import annotations

from functools import wraps

from faasight import tracing
from faasight.complain import complaints
from faasight.context import current, outgoing, suppressed
from faasight.hooks import aws_answers, aws_targets, carry
from faasight.spans import CLIENT, PRODUCER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from faasight.agent import Agent
    from faasight.tracing import Active

_SEEN = "_faasight_listens"


def install(module: ModuleType, agent: Agent) -> None:
    """Patch `BaseClient._make_api_call`, which all clients and resources of boto3 lead to."""
    base = module.BaseClient
    original = base._make_api_call
    if hasattr(original, "__faasight__"):
        return
    for name in agent.settings.carry:
        if name not in carry.PAYLOADS and name != "off":
            complaints.say(f"FAASIGHT_CARRY: {name!r} is not one of {', '.join(carry.PAYLOADS)}, off")

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
            parent, state = outgoing(active.span, agent.service)
            parameters = carry.context(service, operation, parameters, parent, state, agent.settings.carry)
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
        aws_answers.note_throttle(span, parsed_response)


def _end(active: Active, response: Any, error: BaseException | None) -> None:  # noqa: ANN401 - untyped
    try:
        span = active.span
        if isinstance(response, dict):
            aws_answers.note(span, response)
        if error is not None:
            span.fail_with(error)
            code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
            if code:
                span.attributes["error.type"] = code
        active.end()
    except Exception as failed:  # noqa: BLE001 - the caller's response is what counts
        complaints.failure("botocore span", failed)
