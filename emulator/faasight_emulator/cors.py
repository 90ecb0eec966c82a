"""Cross-origin requests: what an API or a function URL answers to a browser's preflight, and adds to its answers.

An HTTP API and a function URL answer preflights themselves, and put their own headers in place of the function's. For a
REST API, SAM makes OPTIONS methods that answer with constants; its other answers are the function's affair.
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from faasight_emulator.http_server import Request, Response
from faasight_emulator.section import Section

Kind = Literal["http", "rest", "url"]
_PREFIX = "access-control-"
_REQUESTED = f"{_PREFIX}request-method"
_STATUS = {"http": 204, "url": 200, "rest": 200}


@dataclass(frozen=True, slots=True)
class Cors:
    """Who may ask what from a browser. `methods` and `headers` may be ("*",); `max_age` is in seconds, None: unsaid."""

    kind: Kind
    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int | None = None
    credentials: bool = False

    def preflight(self, request: Request, offered: tuple[str, ...]) -> Response:
        """Answer a preflight; `offered` are the path's methods, said where the template names none."""
        told = dict(self._allowed(request))
        if told:
            told[f"{_PREFIX}allow-methods"] = ",".join(self.methods or offered)
            told[f"{_PREFIX}allow-headers"] = ",".join(self.headers)
            told[f"{_PREFIX}max-age"] = "" if self.max_age is None else str(self.max_age)
        return Response(_STATUS[self.kind], b"", tuple((name, value) for name, value in told.items() if value))

    def on(self, response: Response, request: Request) -> Response:
        """Return an answer with the headers that a browser asks for, in place of the function's own."""
        if self.kind == "rest":
            return response
        own = tuple(one for one in response.headers if not one[0].lower().startswith(_PREFIX))
        exposed = ((f"{_PREFIX}expose-headers", ",".join(self.exposed)),) if self.exposed else ()
        allowed = self._allowed(request)
        return replace(response, headers=(*own, *allowed, *(exposed if allowed else ())))

    def _allowed(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Return what says that the origin may ask; nothing if it may not, or there is none."""
        asked = request.header("origin")
        if self.kind == "rest":  # a constant, whoever asks
            origin = self.origins[0] if self.origins else ""
        elif any(fnmatchcase(asked, one) for one in self.origins) and asked:
            origin = "*" if self.origins == ("*",) and not self.credentials else asked
        else:
            origin = ""
        if not origin:
            return ()
        varies = origin != "*" and self.kind != "rest"
        told = [(f"{_PREFIX}allow-origin", origin), *([("vary", "origin")] if varies else [])]
        return (*told, (f"{_PREFIX}allow-credentials", "true")) if self.credentials else tuple(told)


def is_preflight(request: Request) -> bool:
    """Whether a browser asks if it may ask."""
    return request.method == "OPTIONS" and bool(request.header("origin")) and bool(request.header(_REQUESTED))


def requested_method(request: Request) -> str:
    """Return the method that a preflight is about."""
    return request.header(_REQUESTED).upper()


def http_cors(section: Section, key: str, kind: Literal["http", "url"]) -> Cors | None:
    """Read CorsConfiguration of an HTTP API, or Cors of a function URL: a mapping, true or an origin.

    Returns None if there is none. Raises TemplateError.
    """
    if not isinstance(section.value(key), dict):
        text = section.text(key, "false")
        origin = "*" if text.lower() == "true" else text
        everything = ("*",) if origin == "*" else ()
        return None if text.lower() == "false" else Cors(kind, (origin,), everything, everything)
    config = section.section(key)
    return Cors(
        kind,
        _texts(config, "AllowOrigins"),
        _texts(config, "AllowMethods"),
        _texts(config, "AllowHeaders"),
        _texts(config, "ExposeHeaders"),
        config.optional_integer("MaxAge", -1, 86_400),
        config.flag("AllowCredentials", False),
    )


def rest_cors(section: Section) -> Cors | None:
    """Read Cors of a REST API: an origin or a mapping, whose texts have quotes of their own ("'*'").

    Returns None if there is none. Raises TemplateError.
    """
    if not isinstance(section.value("Cors"), dict):
        origin = _unquoted(section.text("Cors", ""))
        return Cors("rest", (origin,)) if origin else None
    config = section.section("Cors")
    age = _unquoted(config.text("MaxAge", ""))
    if age and not age.isdigit():
        raise config.error("MaxAge", f"is {age!r}; must be seconds in quotes, as \"'600'\".")
    return Cors(
        "rest",
        (_unquoted(config.text("AllowOrigin", "*")),),
        _split(config.text("AllowMethods", "")),
        _split(config.text("AllowHeaders", "")),
        max_age=int(age) if age else None,
        credentials=config.flag("AllowCredentials", False),
    )


def _texts(section: Section, key: str) -> tuple[str, ...]:
    return tuple(str(one) for one in section.items(key))


def _split(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in _unquoted(text).split(",") if one.strip())


def _unquoted(text: str) -> str:
    return text.strip().strip("'")
