"""The Lambda Runtime API of one sandbox: next, response, error and init/error, over HTTP on 127.0.0.1."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faasight_emulator.http_server import HttpServer, Request, Response, listen
from faasight_emulator.invocation import MAX_RESPONSE

_PREFIX = "/2018-06-01/runtime"
_ACCEPTED = Response(202, b'{"status":"OK"}')
# More than Lambda takes, so that a response that is too large can be refused in Lambda's words.
_MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Task:
    """What `next` hands to the runtime. `deadline_ms` is Unix time."""

    request_id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    trace_header: str
    client_context: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The runtime asks for the next invocation: it has nothing more to do."""


@dataclass(frozen=True, slots=True)
class Responded:
    """The handler's answer."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler's error, or (without a running invocation) the error of the init."""

    body: bytes
    error_type: str


Answer = Callable[[Request], Awaitable[Response | None]]
Said = Ready | Responded | Failed


class RuntimeApi:
    """Speaks with one runtime process: `said` is called with what it says; what it is to do comes by `give`."""

    def __init__(self, said: Callable[[Said], None], extensions: Answer | None = None) -> None:
        """`extensions` answers what is of the Extensions and Telemetry APIs, and None to all else."""
        self._said = said
        self._extensions = extensions
        self._task: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        self._running: Task | None = None
        self._server = HttpServer(self._handle, max_body=_MAX_BODY, abandon=True)
        self.address = ""

    async def start(self) -> None:
        """Listen on a free port; `address` then is what AWS_LAMBDA_RUNTIME_API is to be."""
        listener = listen("127.0.0.1", 0)
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        await self._server.start(listener)

    async def stop(self) -> None:
        """Close the port."""
        await self._server.stop()

    def give(self, task: Task) -> None:
        """Answer the runtime's pending (or coming) `next` with this task."""
        self._running = task
        self._task.set_result(task)

    async def _handle(self, request: Request) -> Response:
        path = request.raw_path.removeprefix(_PREFIX)
        if (request.method, path) == ("GET", "/invocation/next"):
            return await self._next()
        if (request.method, path) == ("POST", "/init/error"):
            self._said(_failed(request))
            return _ACCEPTED
        parts = path.split("/")
        if (
            request.method == "POST"
            and len(parts) == 4
            and parts[1] == "invocation"
            and parts[3] in ("response", "error")
        ):
            return self._finish(parts[2], parts[3], request)
        answer = await self._extensions(request) if self._extensions is not None else None
        if answer is not None:
            return answer
        return _refused(404, "NotFound", f"{request.method} {request.raw_path} is not of the Runtime API")

    async def _next(self) -> Response:
        self._said(Ready())
        # Shielded: a runtime that hangs up must not take along the future that `give` will set.
        task = await asyncio.shield(self._task)
        self._task = asyncio.get_running_loop().create_future()
        headers = [
            ("content-type", "application/json"),
            ("lambda-runtime-aws-request-id", task.request_id),
            ("lambda-runtime-deadline-ms", str(task.deadline_ms)),
            ("lambda-runtime-invoked-function-arn", task.function_arn),
            ("lambda-runtime-trace-id", task.trace_header),
        ]
        if task.client_context:
            headers.append(("lambda-runtime-client-context", task.client_context))
        return Response(200, task.event, tuple(headers))

    def _finish(self, request_id: str, kind: str, request: Request) -> Response:
        if self._running is None or self._running.request_id != request_id:
            return _refused(400, "InvalidRequestID", f"{request_id} is not the invocation that runs")
        self._running = None
        if kind == "error":
            self._said(_failed(request))
            return _ACCEPTED
        if len(request.body) > MAX_RESPONSE:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
            refusal = _refused(413, "Function.ResponseSizeTooLarge", message)
            self._said(Failed(refusal.body, "Function.ResponseSizeTooLarge"))
            return refusal
        self._said(Responded(request.body))
        return _ACCEPTED


def _failed(request: Request) -> Failed:
    error_type = request.header("lambda-runtime-function-error-type")
    try:
        named = json.loads(request.body)["errorType"]
    except (ValueError, KeyError, TypeError):
        named = ""
    # The body names the exception's class; awslambdaric's header says "Unhandled" for all of them.
    return Failed(request.body, str(named or error_type or "Runtime.Unknown"))


def _refused(status: int, error_type: str, message: str) -> Response:
    return Response(status, json.dumps({"errorMessage": message, "errorType": error_type}).encode())
