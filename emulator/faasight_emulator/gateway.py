"""The HTTP door of the application: API Gateway for its routes, and Lambda's own Invoke API, on one port."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from faasight_emulator import lambda_api
from faasight_emulator.authorizers import Authorizers, RefusedError
from faasight_emulator.cors import is_preflight, requested_method
from faasight_emulator.errors import TooManyRequestsError
from faasight_emulator.http_server import Request, Response
from faasight_emulator.invocation import MAX_PAYLOAD, Invocation, Result, new_trace_header
from faasight_emulator.model import Function, Place
from faasight_emulator.payloads import BadAnswerError, answer_of, event_of
from faasight_emulator.routes import Match, Router
from faasight_emulator.states import api as states
from faasight_emulator.states.callers import Caller
from faasight_emulator.states.definition import StateMachine

INTEGRATION_LIMIT = 30.0  # seconds that API Gateway waits for a function
MAX_BODY = 10 * 1024 * 1024  # bytes API Gateway takes

Run = Callable[[Function, Invocation], Awaitable[Result]]


class Gateway:
    """Answers HTTP requests with functions; `handle` is what the HTTP server calls.

    Errors are answered as API Gateway answers them. A throttle is 429 here for both kinds of API (an HTTP API of AWS
    says 503), so that a caller can tell it from a function that fails.
    """

    def __init__(
        self,
        router: Router,
        run: Run,
        api: "lambda_api.LambdaApi",
        machines: "states.StatesApi",
        authorizers: Authorizers,
        place: Place,
        limit: float = INTEGRATION_LIMIT,
    ) -> None:
        self._router = router
        self._run = run
        self._lambda = api
        self._states = machines
        self._authorizers = authorizers
        self._place = place
        self._limit = limit

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.raw_path.startswith(lambda_api.PREFIX):
            return await self._lambda.handle(request)
        if request.header("x-amz-target").startswith(states.TARGET):
            return await self._states.handle(request)
        if is_preflight(request):
            answer = self._preflight(request)
            if answer is not None:
                return answer
        match = self._router.match(request.method, request.raw_path)
        if match is None:
            if self._router.rest_only():
                return _message(403, "Missing Authentication Token")
            return _message(404, "Not Found")
        answer = await self.call(request, match)
        return answer if match.api.cors is None else match.api.cors.on(answer, request)

    def _preflight(self, request: Request) -> Response | None:
        """Answer a browser's preflight, where the API of what it is about says how; else None."""
        about = self._router.match(requested_method(request), request.raw_path)
        cors = about.api.cors if about is not None else None
        if about is None or cors is None:
            return None
        offered = self._router.methods(request.raw_path)
        if cors.kind == "rest" and "OPTIONS" in offered:  # a method of the template's own is not replaced
            return None
        return cors.preflight(request, (*offered, "OPTIONS"))

    async def call(self, request: Request, match: Match) -> Response:
        """Answer a request whose function or state machine is known, if its authorizer lets it."""
        kind, target = match.api.kind, match.target
        trace_header = _trace_header(request, tracing=isinstance(target, Function) and target.tracing)
        try:
            passed = await self._authorizers.admit(request, match, trace_header)
        except RefusedError as error:
            return error.response
        if isinstance(target, StateMachine):
            caller = Caller("api", match.api.name, f"{match.route.method} {match.route.path}")
            return await self._states.start_by(caller, target, request.body, trace_header, wait=match.route.wait)
        values = event_of(request, match, self._place, trace_header)
        if passed.context:
            values["requestContext"]["authorizer"] = dict(passed.context)
        if passed.identity:
            values["requestContext"]["identity"] |= passed.identity
        event = json.dumps(values).encode()
        if len(event) > MAX_PAYLOAD:
            return _message(413, "Request Entity Too Large")
        try:
            call = self._run(target, Invocation(event, trace_header))
            result = await asyncio.wait_for(call, None if kind == "url" else self._limit)
        except TooManyRequestsError:
            return _message(429, "Too Many Requests")
        except TimeoutError:
            return (
                _message(504, "Endpoint request timed out") if kind == "rest" else _message(503, "Service Unavailable")
            )
        try:
            if result.ok:
                return answer_of(result.payload, match)
        except BadAnswerError:
            pass
        return _FAILED[kind]


def _trace_header(request: Request, *, tracing: bool) -> str:
    """Return the caller's X-Ray trace if it sends one, else that of a new trace."""
    given = request.header("x-amzn-trace-id")
    return given if given.startswith("Root=") else new_trace_header(tracing)


def _message(status: int, text: str) -> Response:
    return Response(status, json.dumps({"message": text}).encode())


_FAILED = {
    "http": _message(500, "Internal Server Error"),
    "rest": _message(502, "Internal server error"),
    "url": Response(502, b"Internal Server Error", (("content-type", "text/plain"),)),
}
