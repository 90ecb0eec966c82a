"""API Gateway's two shapes of a request and of an answer: payload 1.0 (REST APIs) and 2.0 (HTTP APIs)."""

import base64
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from faasight_emulator.http_server import Request, Response
from faasight_emulator.model import Place
from faasight_emulator.routes import Match

_TEXT = ("text/", "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


class BadAnswerError(Exception):
    """The function's answer is none that API Gateway understands."""


def event_of(request: Request, match: Match, place: Place, trace_header: str, payload: str = "") -> dict[str, Any]:
    """Return the event of a request in this payload format, by default the route's."""
    forwarded = (
        ("x-forwarded-for", request.peer),
        ("x-forwarded-port", place.gateway.rsplit(":", 1)[-1]),
        ("x-forwarded-proto", "http"),
        ("x-amzn-trace-id", trace_header),
    )
    known = {name for name, _ in forwarded}
    headers = [*((name, value) for name, value in request.headers if name not in known), *forwarded]
    query = parse_qsl(request.query, keep_blank_values=True)
    shape = _event_2 if (payload or match.route.payload) == "2.0" else _event_1
    return shape(request, match, place, headers, query)


def _event_2(
    request: Request, match: Match, place: Place, headers: list[tuple[str, str]], query: list[tuple[str, str]]
) -> dict[str, Any]:
    now = datetime.now(UTC)
    route_key = match.route.path if match.route.path == "$default" else f"{match.route.method} {match.route.path}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": {name: ",".join(values) for name, values in _grouped(headers).items() if name != "cookie"},
        "requestContext": {
            "accountId": place.account,
            "apiId": match.api.name,
            "domainName": domain(match, place),
            "domainPrefix": match.api.name,
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.peer,
                "userAgent": request.header("user-agent"),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": route_key,
            "stage": match.api.stage,
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    cookies = [part.strip() for name, value in headers if name == "cookie" for part in value.split(";")]
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in _grouped(query).items()}
    if match.parameters:
        event["pathParameters"] = dict(match.parameters)
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _event_1(
    request: Request, match: Match, place: Place, headers: list[tuple[str, str]], query: list[tuple[str, str]]
) -> dict[str, Any]:
    now = time.time()
    body, encoded = _body(request) if request.body else (None, False)
    named = [("-".join(part.capitalize() for part in name.split("-")), value) for name, value in headers]
    event = {
        "resource": match.route.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(named),
        "multiValueHeaders": _grouped(named),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _grouped(query) or None,
        "pathParameters": dict(match.parameters) or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": place.account,
            "apiId": match.api.name,
            "domainName": domain(match, place),
            "domainPrefix": match.api.name,
            "extendedRequestId": uuid.uuid4().hex[:16],
            "httpMethod": request.method,
            "identity": {"sourceIp": request.peer, "userAgent": request.header("user-agent")},
            "path": request.path if match.api.kind == "http" else f"/{match.api.stage}{request.path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": int(now * 1000),
            "resourceId": uuid.uuid5(uuid.NAMESPACE_URL, match.route.path).hex[:6],
            "resourcePath": match.route.path,
            "stage": match.api.stage,
        },
        "body": body,
        "isBase64Encoded": encoded,
    }
    return {"version": "1.0", **event} if match.api.kind == "http" else event


def domain(match: Match, place: Place) -> str:
    """Return the host name that the function sees: shop-api.execute-api.local; of a URL the one that AWS gives it."""
    if match.api.kind == "url":
        return f"{match.api.name}.lambda-url.{place.region}.on.aws"
    return f"{match.api.name}.execute-api.local"


def answer_of(payload: bytes, match: Match) -> Response:
    """Return the HTTP answer that a function's result means. Raises BadAnswerError."""
    try:
        answer = json.loads(payload) if payload else None
    except ValueError as error:
        raise BadAnswerError(str(error)) from error
    if match.route.payload == "2.0" and not (isinstance(answer, dict) and "statusCode" in answer):
        # Payload 2.0 lets a function answer with any JSON.
        text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer)
        return Response(200, text.encode())
    if not isinstance(answer, dict):
        raise BadAnswerError("the answer is no object")
    try:
        return Response(_status(answer), _answer_body(answer), tuple(_answer_headers(answer)))
    except (TypeError, ValueError, AttributeError) as error:
        raise BadAnswerError(str(error)) from error


def _status(answer: dict[str, Any]) -> int:
    status = int(answer.get("statusCode", ""))
    if not 100 <= status <= 599:
        raise ValueError(f"statusCode {status} is none of HTTP's")
    return status


def _answer_body(answer: dict[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if answer.get("isBase64Encoded") is True:
        return base64.b64decode(body)
    if isinstance(body, dict | list):
        raise TypeError("body must be text")
    return str(body).encode()


def _answer_headers(answer: dict[str, Any]) -> list[tuple[str, str]]:
    many = answer.get("multiValueHeaders") or {}
    given = {name.lower() for name in many}
    headers = [(str(name), str(value)) for name, values in many.items() for value in values]
    headers += [
        (str(name), str(value)) for name, value in (answer.get("headers") or {}).items() if name.lower() not in given
    ]
    headers += [("set-cookie", str(cookie)) for cookie in answer.get("cookies") or ()]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    # These belong to the connection, which is ours.
    return [one for one in headers if one[0].lower() not in ("connection", "transfer-encoding", "keep-alive")]


def _body(request: Request) -> tuple[str, bool]:
    content_type = request.header("content-type", "application/json").lower()
    if content_type.startswith(_TEXT) or "+json" in content_type:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups
