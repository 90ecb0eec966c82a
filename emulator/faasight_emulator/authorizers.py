"""Asks the authorizer of a route, as API Gateway does: functions are invoked, JSON Web Tokens verified."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from faasight_emulator.authorization import Authorizer
from faasight_emulator.errors import EmulatorError, UnknownFunctionError
from faasight_emulator.http_server import Request, Response
from faasight_emulator.identity import signer_of
from faasight_emulator.invocation import Invocation, Result
from faasight_emulator.model import Function, Place
from faasight_emulator.payloads import event_of
from faasight_emulator.policy import decide
from faasight_emulator.routes import Match

if TYPE_CHECKING:
    from faasight_emulator.jwt import TokenVerifier

LIMITS = {"http": 10.0, "rest": 30.0}  # seconds that API Gateway waits for an authorizer
_CACHE_SIZE = 1000

Run = Callable[[Function, Invocation], Awaitable[Result]]


class RefusedError(Exception):
    """The caller may not; `response` is what it gets."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Pass:
    """The caller may: what the function finds under requestContext.authorizer, and within its identity."""

    context: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)


class Authorizers:
    """Decides over requests. All on the event loop."""

    def __init__(
        self,
        run: Run,
        find: Callable[[str], Function],
        place: Place,
        say: Callable[[str], None],
        keys: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._find = find
        self._place = place
        self._say = say
        self._keys = keys
        self._clock = clock
        self._verifiers: dict[tuple[str, str], TokenVerifier] = {}
        self._cache: dict[tuple[str, ...], tuple[float, Mapping[str, Any]]] = {}

    async def admit(self, request: Request, match: Match, trace_header: str) -> Pass:
        """Return what the function is to know of the caller. Raises RefusedError."""
        authorizer = match.authorizer
        if authorizer is None:
            return Pass()
        if authorizer.kind == "IAM":
            return self._iam(request, match)
        identity = [_identity(request, where, name) for where, name in authorizer.sources]
        if not all(identity) or (authorizer.pattern and not re.fullmatch(authorizer.pattern, identity[0])):
            raise RefusedError(_message(401, "Unauthorized"))
        if authorizer.kind == "JWT":
            return await self._jwt(authorizer, match, identity[0])
        if authorizer.kind == "COGNITO":
            return await self._cognito(authorizer, match, identity[0])
        key = (match.api.name, authorizer.name, *identity)
        kept = self._cache.get(key)
        if kept is not None and kept[0] > self._clock():
            answer, took = kept[1], 0
        else:
            began = self._clock()
            answer = await self._ask(authorizer, request, match, identity, trace_header)
            took = round((self._clock() - began) * 1000)
            if authorizer.ttl and identity:  # without identity there is nothing to know the caller by
                self._keep(key, answer, authorizer.ttl)
        return _decision(answer, authorizer, match, method_arn(match, request, self._place), took)

    def _iam(self, request: Request, match: Match) -> Pass:
        signer = signer_of(request)
        if signer is not None:
            return Pass(signer.context(match, self._place), signer.identity(match, self._place))
        raise RefusedError(_UNSIGNED[match.api.kind])

    def _verifier(self, authorizer: Authorizer, match: Match) -> "TokenVerifier":
        # joserfc and what it needs take an eighth of the emulator's start; few templates have such an authorizer.
        from faasight_emulator.jwt import TokenVerifier

        key = (match.api.name, authorizer.name)
        if key not in self._verifiers:
            self._verifiers[key] = TokenVerifier(authorizer, self._keys, self._say)
        return self._verifiers[key]

    async def _cognito(self, authorizer: Authorizer, match: Match, token: str) -> Pass:
        from faasight_emulator.jwt import ScopeError, TokenError, plain_claims

        try:
            claims = await self._verifier(authorizer, match).verify(token, match.route.scopes)
        except (TokenError, ScopeError) as error:
            raise RefusedError(_message(401, "Unauthorized")) from error
        return Pass({"claims": plain_claims(claims)})

    async def _jwt(self, authorizer: Authorizer, match: Match, token: str) -> Pass:
        from faasight_emulator.jwt import ScopeError, TokenError, scopes_of, shown_claims

        try:
            claims = await self._verifier(authorizer, match).verify(token, match.route.scopes)
        except TokenError as error:
            text = f'Bearer scope="" error="invalid_token" error_description="{error}"'
            raise RefusedError(_message(401, "Unauthorized", (("www-authenticate", text),))) from error
        except ScopeError as error:
            raise RefusedError(_message(403, "Forbidden")) from error
        found: dict[str, Any] = {"claims": shown_claims(claims), "scopes": scopes_of(claims) or None}
        return Pass({"jwt": found} if match.route.payload == "2.0" else found)

    async def _ask(
        self, authorizer: Authorizer, request: Request, match: Match, identity: list[str], trace_header: str
    ) -> Mapping[str, Any]:
        """Invoke the authorizer's function and return its answer. Raises RefusedError."""
        rest = match.api.kind == "rest"
        event = json.dumps(self._event(authorizer, request, match, identity, trace_header)).encode()
        try:
            function = self._find(authorizer.function.split(":")[6])
            result = await asyncio.wait_for(
                self._run(function, Invocation(event, trace_header)), LIMITS[match.api.kind]
            )
            answer = result.json()
        except (UnknownFunctionError, IndexError):
            self._say(f"Warning: the authorizer {authorizer.name} names no function here: {authorizer.function}")
            raise RefusedError(_failed(rest)) from None
        except (EmulatorError, TimeoutError, ValueError) as error:
            raise RefusedError(_failed(rest)) from error
        if result.ok and isinstance(answer, dict):
            return answer
        if isinstance(answer, dict) and answer.get("errorMessage") == "Unauthorized":  # how a function says 401
            raise RefusedError(_message(401, "Unauthorized"))
        raise RefusedError(_failed(rest))

    def _event(
        self, authorizer: Authorizer, request: Request, match: Match, identity: list[str], trace_header: str
    ) -> dict[str, Any]:
        arn = method_arn(match, request, self._place)
        if authorizer.kind == "TOKEN":
            return {"type": "TOKEN", "methodArn": arn, "authorizationToken": identity[0]}
        event = event_of(request, match, self._place, trace_header, authorizer.payload)
        event.pop("body", None)
        event.pop("isBase64Encoded", None)
        if authorizer.payload == "2.0":
            return {**event, "version": "2.0", "type": "REQUEST", "routeArn": arn, "identitySource": identity or None}
        if match.api.kind == "rest":
            return {**event, "type": "REQUEST", "methodArn": arn}
        whole = ",".join(identity)
        more = {"methodArn": arn, "identitySource": whole, "authorizationToken": whole}
        return {**event, "version": "1.0", "type": "REQUEST", **more}

    def _keep(self, key: tuple[str, ...], answer: Mapping[str, Any], ttl: int) -> None:
        self._cache.pop(key, None)
        if len(self._cache) >= _CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = (self._clock() + ttl, answer)


def method_arn(match: Match, request: Request, place: Place) -> str:
    """Return the ARN that policies speak of: arn:aws:execute-api:<region>:<account>:<api>/<stage>/<METHOD>/<path>."""
    return place.arn("execute-api", f"{match.api.name}/{match.api.stage}/{request.method}{request.path}")


def _decision(answer: Mapping[str, Any], authorizer: Authorizer, match: Match, arn: str, took: int) -> Pass:
    """Read an authorizer's answer for this method. Raises RefusedError."""
    rest, in_2 = match.api.kind == "rest", match.route.payload == "2.0"
    context = answer.get("context") or {}
    principal = answer.get("principalId")
    # A REST API takes no policy without whom it is for.
    if not isinstance(context, dict) or (rest and not isinstance(principal, str)):
        raise RefusedError(_failed(rest))
    if authorizer.simple:
        decision = "allow" if answer.get("isAuthorized") is True else "none"
    else:
        try:
            decision = decide(answer.get("policyDocument"), arn)
        except ValueError as error:
            raise RefusedError(_failed(rest)) from error
    if decision != "allow":
        raise RefusedError(_forbidden(decision, rest))
    if rest:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in context.items()}
        return Pass({"principalId": principal, "integrationLatency": took, **texts})
    return Pass({"lambda": context or None} if in_2 else {"principalId": principal, **context})


def _forbidden(decision: str, rest: bool) -> Response:
    if not rest:
        return _message(403, "Forbidden")
    text = "User is not authorized to access this resource"
    body = {"Message": f"{text} with an explicit deny" if decision == "deny" else text}
    return Response(403, json.dumps(body).encode())


def _identity(request: Request, where: str, name: str) -> str:
    if where == "header":
        return request.header(name)
    return parse_qs(request.query).get(name, [""])[0] if where == "query" else ""


def _failed(rest: bool) -> Response:
    """Return the answer to a caller whose authorizer failed."""
    return Response(500, b'{"message":null}') if rest else _message(500, "Internal Server Error")


def _message(status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, json.dumps({"message": text}).encode(), (("content-type", "application/json"), *headers))


_UNSIGNED = {
    "http": _message(403, "Forbidden"),
    "rest": _message(403, "Missing Authentication Token"),
    "url": Response(403, b'{"Message": "Forbidden"}'),
}
