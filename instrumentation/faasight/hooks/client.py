"""What all HTTP clients have in common: the client span of wire.md, and the context in the headers."""

from __future__ import annotations

from faasight import mask, tracing
from faasight.complain import complaints
from faasight.context import outgoing
from faasight.spans import CLIENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from faasight.agent import Agent
    from faasight.tracing import Active

TOO_MANY_REQUESTS = 429


def begin(agent: Agent, method: str, url: str, host: str, port: int) -> Active | None:
    """Open the span of one request; None outside an invocation."""
    peer = agent.settings.peer_services.get(f"{host}:{port}") or agent.settings.peer_services.get(host, "")
    attributes = {
        "http.request.method": method.upper(),
        "url.full": mask.text(without_secrets(url)),
        "server.address": host,
        "server.port": port,
    }
    if peer:
        attributes["peer.service"] = peer
    return tracing.begin(f"{method.upper()} {peer or host}", CLIENT, attributes)


def without_secrets(url: str) -> str:
    """Cut query, fragment and credentials: none of them is telemetry's business."""
    url = url.partition("?")[0].partition("#")[0]
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url


def inject(agent: Agent, active: Active, headers: MutableMapping[str, str]) -> None:
    """Write the context into headers, unless the user has done so."""
    try:
        if not any(name.lower() == "traceparent" for name in headers):
            headers["traceparent"], headers["tracestate"] = outgoing(active.span, agent.service)
    except Exception as error:  # noqa: BLE001 - headers of a kind of their own: the call goes out, and is seen
        complaints.failure("context in headers", error)


def end(active: Active, status: int = 0, resends: int = 0, error: BaseException | None = None) -> None:
    """Close the span; never raises but under the `strict` setting."""
    try:
        span = active.span
        if status:
            span.attributes["http.response.status_code"] = status
        if status == TOO_MANY_REQUESTS:
            span.attributes["faasight.throttled"] = True
        if resends:
            span.attributes["http.request.resend_count"] = resends
        if error is not None:
            span.fail_with(error)
        elif status >= 400:
            span.fail(str(status))
        active.end()
    except Exception as failed:  # noqa: BLE001 - the caller's response is what counts
        complaints.failure("client span", failed)
