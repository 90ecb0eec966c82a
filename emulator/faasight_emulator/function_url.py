"""Function URLs: each has a port of its own, where AWS gives it a host name."""

import socket

from faasight_emulator.authorization import OPEN, SIGNED
from faasight_emulator.cors import http_cors, is_preflight
from faasight_emulator.gateway import MAX_BODY, Gateway
from faasight_emulator.http_server import HttpServer, Request, Response, listen
from faasight_emulator.model import Api, Function, FunctionUrl, Route
from faasight_emulator.routes import Match
from faasight_emulator.section import Section


def url_of(properties: Section, warnings: list[str]) -> FunctionUrl | None:
    """Return what FunctionUrlConfig says, None if there is none. Raises TemplateError."""
    if "FunctionUrlConfig" not in properties:
        return None
    config = properties.section("FunctionUrlConfig")
    kind = config.text("AuthType")
    if kind not in ("NONE", "AWS_IAM"):
        raise config.error("AuthType", f"is '{kind}'; must be NONE or AWS_IAM.")
    if config.text("InvokeMode", "BUFFERED") != "BUFFERED":
        # Source: docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
        text = "AWS streams from Node.js and custom runtimes, not from Python's: answers come whole."
        warnings.append(str(config.error("InvokeMode", text)))
    return FunctionUrl(kind == "AWS_IAM", http_cors(config, "Cors", "url"))


def listen_near(port: int) -> socket.socket:
    """Return a listening socket on a port of 127.0.0.1; one that is taken, or 0, gives any free one."""
    try:
        return listen("127.0.0.1", port)
    except (OSError, OverflowError):
        return listen("127.0.0.1", 0)


def serve(function: Function, gateway: Gateway) -> HttpServer:
    """Return the server of a function's URL; it is to be started on its port."""
    signed = function.url is not None and function.url.signed
    api = Api(f"{function.logical_id}Url", function.name, "url", "$default", SIGNED if signed else OPEN)
    match = Match(api, Route(api.name, "ANY", "$default", "2.0"), function, {})
    cors = function.url.cors if function.url is not None else None

    async def handle(request: Request) -> Response:
        if cors is None:
            return await gateway.call(request, match)
        if is_preflight(request):
            return cors.preflight(request, ())
        return cors.on(await gateway.call(request, match), request)

    return HttpServer(handle, max_body=MAX_BODY)
