"""Lambda's Invoke API, so that boto3's `client("lambda").invoke(...)` reaches the functions of the template."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs, unquote

from faasight_emulator.errors import TooManyRequestsError, UnknownFunctionError
from faasight_emulator.http_server import Request, Response
from faasight_emulator.invocation import MAX_PAYLOAD, Invocation, Result, new_trace_header
from faasight_emulator.model import Function

PREFIX = "/2015-03-31/functions/"
_MAX_EVENT = 1024 * 1024  # bytes of an asynchronous event

Run = Callable[[Function, Invocation], Awaitable[Result]]
Submit = Callable[[Function, Invocation], None]


class LambdaApi:
    """POST /2015-03-31/functions/{name}/invocations, synchronous, asynchronous and dry."""

    def __init__(self, find: Callable[[str], Function], run: Run, submit: Submit) -> None:
        """`find` gives the function of a name or an ARN with its qualifier; it raises UnknownFunctionError."""
        self._find = find
        self._run = run
        self._submit = submit

    async def handle(self, request: Request) -> Response:
        """Answer one request in Lambda's words."""
        name, _, action = request.raw_path.removeprefix(PREFIX).partition("/")
        if request.method != "POST" or action != "invocations":
            return _error(404, "ResourceNotFoundException", f"{request.method} {request.raw_path} is not emulated")
        qualifier = parse_qs(request.query).get("Qualifier", [""])[0]
        full = f"{unquote(name)}:{qualifier}" if qualifier else unquote(name)
        try:
            function = self._find(full)
        except UnknownFunctionError:
            return _error(404, "ResourceNotFoundException", f"Function not found: {full}")
        kind = request.header("x-amz-invocation-type", "RequestResponse")
        if len(request.body) > (_MAX_EVENT if kind == "Event" else MAX_PAYLOAD):
            return _error(413, "RequestTooLargeException", "the payload is larger than Lambda takes")
        try:
            json.loads(request.body or b"{}")
            context = base64.b64decode(request.header("x-amz-client-context"), validate=True).decode()
        except (ValueError, binascii.Error) as error:
            return _error(400, "InvalidRequestContentException", f"Could not parse request body into json: {error}")
        if kind == "Event":
            context = ""  # Lambda passes it on for synchronous invocations only
        trace = request.header("x-amzn-trace-id") or new_trace_header(function.tracing)
        return await self._invoke(function, Invocation(request.body or b"{}", trace, context), kind)

    async def _invoke(self, function: Function, invocation: Invocation, kind: str) -> Response:
        headers: tuple[tuple[str, str], ...] = (
            ("content-type", "application/json"),
            ("x-amzn-requestid", invocation.request_id),
        )
        try:
            if kind == "DryRun":
                return Response(204, b"", headers)
            if kind == "Event":
                self._submit(function, invocation)
                return Response(202, b"", headers)
            result = await self._run(function, invocation)
        except TooManyRequestsError as error:
            return _error(429, "TooManyRequestsException", "Rate Exceeded.", {"Reason": error.reason, "Type": "User"})
        headers = (*headers, ("x-amz-executed-version", result.version))
        if not result.ok:
            headers = (*headers, ("x-amz-function-error", "Unhandled"))
        return Response(200, result.payload, headers)


def _error(status: int, kind: str, message: str, more: Mapping[str, str] | None = None) -> Response:
    body = json.dumps({"Message": message, "message": message, **(more or {})}).encode()
    return Response(status, body, (("content-type", "application/json"), ("x-amzn-errortype", kind)))
