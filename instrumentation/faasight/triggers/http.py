"""Requests: API Gateway in all its forms, function URLs, load balancers, VPC Lattice, CloudFront."""

from __future__ import annotations

from faasight.context import CARRIERS, MAX_HEADERS
from faasight.spans import SERVER
from faasight.triggers.reading import first, from_headers, mapping, rows, tail, text
from faasight.triggers.trigger import Trigger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from faasight.triggers.reading import Event

    Request = tuple[str, str, str, str, str, object]  # the arguments of `http`

_LENGTHS = frozenset(len(name) for name in CARRIERS)  # most headers are told apart by that alone
_MAX_CARRIED = 2_048  # characters of one header; no context is longer


def request(event: Event) -> Trigger | None:
    """Recognise what has a request context: told apart by what stands in it."""
    context = event["requestContext"]
    if not isinstance(context, dict):
        return None
    if "routeArn" in event or "methodArn" in event:
        return authorizer(event)
    known = _asked(event, context)
    if known is not None:
        return http(*known)
    if "connectionId" in context:
        return _web_socket(event, context)
    if "serviceNetworkArn" in context:
        service = tail(context.get("serviceArn"), "/")
        return http(text(event.get("method")), text(event.get("path")), "", "api", service, _headers(event))
    return _destination(event, context) if "functionArn" in context else None


def kept(event: Event, context: Event) -> Request | None:
    """Return the arguments of `http` for a request, made of names and its trace context alone; else None.

    What is no plain dictionary, as JSON gives, is none.
    """
    known = _asked(event, context) if "routeArn" not in event and "methodArn" not in event else None
    if known is None:
        return None
    *names, headers = known
    if type(headers) is not dict:
        return None if isinstance(headers, dict) else (*names, None)  # type: ignore[return-value]  # five names
    if len(headers) > MAX_HEADERS:
        return *names, None  # type: ignore[return-value]  # as above
    carried = {}
    for key, value in headers.items():
        if len(key) in _LENGTHS and key.lower() in CARRIERS:
            value = first(value)
            carried[key] = value if type(value) is str and len(value) <= _MAX_CARRIED else ""
    return *names, carried  # type: ignore[return-value]  # as above


def _asked(event: Event, context: Event) -> Request | None:
    """Return who asked for what: of the HTTP API and function URLs, a load balancer, the REST API."""
    if "http" in context:  # payload format 2.0
        call = mapping(context["http"])
        url = ".lambda-url." in text(context.get("domainName"))
        _, _, route = text(event.get("routeKey")).rpartition(" ")
        path = text(call.get("path")) or text(event.get("rawPath"))
        name = text(context.get("apiId"))
        route = "" if route == "$default" else route
        return text(call.get("method")), path, route, "url" if url else "api", name, _headers(event)
    if "elb" in context:
        group = text(mapping(context["elb"]).get("targetGroupArn")).partition("targetgroup/")[2].partition("/")[0]
        return text(event.get("httpMethod")), text(event.get("path")), "", "api", group, _headers(event)
    if "httpMethod" in event and "connectionId" not in context:  # a REST API, or an HTTP API with payload format 1.0
        method, path, route = text(event["httpMethod"]), text(event.get("path")), text(event.get("resource"))
        return method, path, route, "api", text(context.get("apiId")), _headers(event)
    return None


def _headers(event: Event) -> object:
    return event.get("headers") or event.get("multiValueHeaders")


def _web_socket(event: Event, context: Event) -> Trigger:
    """Read a WebSocket API's message, connect or disconnect: it has a route and no method."""
    route = text(context.get("routeKey"))
    trigger = Trigger(route or "invoke", SERVER, "http", "api", text(context.get("apiId")))
    trigger.attributes["http.route"] = route
    trigger.attributes["network.protocol.name"] = "websocket"
    trigger.known_by(text(context.get("messageId")))
    from_headers(trigger, _headers(event))
    return trigger


def authorizer(event: Event) -> Trigger | None:
    """Recognise API Gateway's Lambda authorizer: of a token or a request, payload formats 1.0 and 2.0."""
    arn = text(event.get("routeArn")) or text(event.get("methodArn"))
    if event.get("type") not in {"TOKEN", "REQUEST"} or not arn:
        return None
    api, _, rest = arn.rpartition(":")[2].partition("/")  # api id/stage/method/path
    _, _, route = rest.partition("/")
    method, _, path = route.partition("/")
    pattern = text(event.get("routeKey")) or f"{method} {text(event.get('resource'))}".rstrip()
    trigger = Trigger(f"authorize {pattern}", SERVER, "http", "api", api)  # a path would be a name for each order
    trigger.attributes["faasight.step"] = "authorizer"
    trigger.attributes["http.request.method"] = method
    trigger.attributes["url.path"] = f"/{path}"
    from_headers(trigger, event.get("headers"))
    return trigger


def lattice(event: Event) -> Trigger | None:
    """Recognise VPC Lattice's first payload format; it does not say which service asked."""
    if "method" not in event:
        return None
    path = text(event["raw_path"]).partition("?")[0]
    return http(text(event["method"]), path, "", "api", "vpc-lattice", _headers(event))


def cloud_front(items: object) -> Trigger:
    """Read what CloudFront hands to Lambda@Edge. Its headers are lists of {key, value}."""
    cf = mapping(rows(items)[0].get("cf"))
    config, asked = mapping(cf.get("config")), mapping(cf.get("request"))
    distribution = text(config.get("distributionId"))
    trigger = http(text(asked.get("method")), text(asked.get("uri")), "", "cdn", distribution)
    trigger.attributes["faasight.step"] = text(config.get("eventType"))
    trigger.known_by(text(config.get("requestId")))
    headers = mapping(asked.get("headers"))
    names = ("traceparent", "tracestate", "x-amzn-trace-id")
    from_headers(
        trigger, {name: mapping(rows(headers.get(name))[0]).get("value") for name in names if headers.get(name)}
    )
    return trigger


def http(method: str, path: str, route: str, source: str, name: str, headers: object = None) -> Trigger:
    """Make the trigger of a request; `route` is the pattern that took it, "" if there is none."""
    trigger = Trigger(f"{method} {route}".strip() or "invoke", SERVER, "http", source, name)
    trigger.attributes["http.request.method"] = method
    trigger.attributes["url.path"] = path
    if route:
        trigger.attributes["http.route"] = route
    from_headers(trigger, headers)
    return trigger


def _destination(event: Event, context: Mapping[str, Any]) -> Trigger | None:
    """Recognise a Lambda destination: another function's record of an asynchronous invocation."""
    from faasight.triggers.workflow import destination

    return destination(event, context)
