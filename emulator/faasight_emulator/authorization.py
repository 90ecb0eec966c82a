"""The authorizers of an API as a SAM template describes them: Lambda authorizers (TOKEN, REQUEST) and JWT."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from faasight_emulator.section import Section

IAM = "AWS_IAM"
NONE = "NONE"  # what an event says to have no authorizer in spite of a default
_HTTP_SOURCES = {"$request.header.": "header", "$request.querystring.": "query", "$stageVariables.": "stage"}


@dataclass(frozen=True, slots=True)
class Authorizer:
    """One authorizer of an API.

    Attributes:
        name: its name in the template.
        kind: TOKEN and REQUEST are functions, JWT and COGNITO tokens, IAM a signature.
        function: ARN of the function.
        payload: the payload format of a REQUEST authorizer.
        simple: whether the function answers {"isAuthorized": ...} rather than an IAM policy.
        sources: where the caller's identity stands: (header, query or stage; name). What lacks one is not authorized.
        pattern: a TOKEN that does not match is not authorized.
        ttl: seconds for which an answer is kept; 0: never.
        issuer, audience, scopes: what a JWT must have.

    """

    name: str
    kind: Literal["TOKEN", "REQUEST", "JWT", "COGNITO", "IAM"]
    function: str = ""
    payload: Literal["1.0", "2.0"] = "1.0"
    simple: bool = False
    sources: tuple[tuple[str, str], ...] = (("header", "authorization"),)
    pattern: str = ""
    ttl: int = 0
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """An API's authorizers by name, and which of them asks where an event names none."""

    authorizers: Mapping[str, Authorizer]
    default: str = ""


OPEN = Authorization({})
SIGNED = Authorization({IAM: Authorizer(IAM, "IAM", sources=())}, IAM)  # of a function URL


def authorization_of(
    auth: Section, shared: Section, kind: Literal["http", "rest"], warnings: list[str]
) -> Authorization:
    """Return what an API's `Auth` says; `shared` is the one of Globals. Raises TemplateError."""
    found: dict[str, Authorizer] = {}
    for section in (shared.section("Authorizers"), auth.section("Authorizers")):
        for name in section:
            found[name] = _authorizer(name, section.section(name), kind)
    found |= SIGNED.authorizers
    default = auth.text("DefaultAuthorizer", shared.text("DefaultAuthorizer", ""))
    if auth.flag("ApiKeyRequired", False) or shared.flag("ApiKeyRequired", False):
        warnings.append(str(auth.error("ApiKeyRequired", "API keys are not emulated; nobody is asked for one.")))
    return Authorization(found, default if default in found else "")


def _authorizer(name: str, section: Section, kind: str) -> Authorizer:
    if "JwtConfiguration" in section:
        return _jwt(name, section)
    if "UserPoolArn" in section:
        return _cognito(name, section)
    return _http_function(name, section) if kind == "http" else _rest_function(name, section)


def _jwt(name: str, section: Section) -> Authorizer:
    # SAM takes these in either case.
    config = section.section("JwtConfiguration")
    issuer = config.optional_text("issuer") or config.text("Issuer")
    return Authorizer(
        name,
        "JWT",
        sources=(_source(section, section.text("IdentitySource", "$request.header.Authorization")),),
        issuer=issuer,
        audience=_texts(config, "audience") or _texts(config, "Audience"),
        scopes=_texts(section, "AuthorizationScopes"),
    )


def _cognito(name: str, section: Section) -> Authorizer:
    identity = section.section("Identity")
    return Authorizer(
        name,
        "COGNITO",
        sources=(("header", identity.text("Header", "Authorization").lower()),),
        pattern=_pattern(identity),
        scopes=_texts(section, "AuthorizationScopes"),
    )


def _http_function(name: str, section: Section) -> Authorizer:
    identity = section.section("Identity")
    payload = section.text("AuthorizerPayloadFormatVersion", "2.0")
    if payload not in ("1.0", "2.0"):
        raise section.error("AuthorizerPayloadFormatVersion", f"is '{payload}'; must be '1.0' or '2.0'.")
    return Authorizer(
        name,
        "REQUEST",
        section.text("FunctionArn"),
        "1.0" if payload == "1.0" else "2.0",
        section.flag("EnableSimpleResponses", False),
        _sources(identity),
        ttl=identity.integer("ReauthorizeEvery", 0, 0, 3600),
    )


def _rest_function(name: str, section: Section) -> Authorizer:
    identity = section.section("Identity")
    token = section.text("FunctionPayloadType", "TOKEN").upper() == "TOKEN"
    header = identity.text("Header", "Authorization").lower()
    return Authorizer(
        name,
        "TOKEN" if token else "REQUEST",
        section.text("FunctionArn"),
        sources=(("header", header),) if token else _sources(identity),
        pattern=_pattern(identity),
        ttl=identity.integer("ReauthorizeEvery", 300, 0, 3600),
    )


def _pattern(identity: Section) -> str:
    pattern = identity.text("ValidationExpression", "")
    try:
        re.compile(pattern)
    except re.error as error:
        raise identity.error("ValidationExpression", f"is no regular expression ({error}); correct it.") from error
    return pattern


def _sources(identity: Section) -> tuple[tuple[str, str], ...]:
    headers = [("header", one.lower()) for one in _texts(identity, "Headers")]
    return (*headers, *(("query", one) for one in _texts(identity, "QueryStrings")))


def _source(section: Section, text: str) -> tuple[str, str]:
    for prefix, place in _HTTP_SOURCES.items():
        if text.startswith(prefix):
            name = text.removeprefix(prefix)
            return place, name.lower() if place == "header" else name
    raise section.error("IdentitySource", f"is '{text}'; must be as $request.header.Authorization.")


def _texts(section: Section, key: str) -> tuple[str, ...]:
    return tuple(str(one) for one in section.items(key))
