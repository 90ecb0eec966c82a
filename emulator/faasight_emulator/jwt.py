"""JSON Web Tokens as an HTTP API's JWT authorizer checks them, with the keys that their issuer publishes."""

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from faasight_emulator.authorization import Authorizer

ALGORITHMS = ["RS256", "RS384", "RS512"]  # API Gateway takes RSA only
_KEYS_KEPT = 7200.0  # seconds, as on AWS
_ASK_AGAIN = 10.0  # seconds until an unknown key, or an issuer that does not answer, is asked for once more
_TIMEOUT = 1.5
_MAX_KEYS = 256 * 1024

Claims = dict[str, Any]


class TokenError(Exception):
    """The token does not hold; the message says why, for WWW-Authenticate."""


class ScopeError(Exception):
    """The token holds, and has none of the scopes that the route asks for."""


class TokenVerifier:
    """Verifies the tokens of one authorizer. `keys` is a JWKS file to be used instead of asking the issuer."""

    def __init__(
        self,
        authorizer: Authorizer,
        keys: Path | None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authorizer = authorizer
        self._file = keys
        self._say = say
        self._clock = clock
        self._keys: KeySet | None = None
        self._asked = float("-inf")
        self._had = float("-inf")
        self._lock = asyncio.Lock()
        self._told = False

    async def verify(self, token: str, scopes: tuple[str, ...]) -> Claims:
        """Return the claims of a token. Raises TokenError, ScopeError."""
        if token[:7].lower() == "bearer ":
            token = token[7:].strip()
        claims = await self._claims(token)
        self._check(claims)
        wanted = scopes or self._authorizer.scopes
        if wanted and not set(wanted) & set(scopes_of(claims)):
            raise ScopeError
        return claims

    async def _claims(self, token: str) -> Claims:
        if self._file is None and self._authorizer.kind == "COGNITO":
            return self._unverified(token)
        if self._keys is None or time.monotonic() - self._had > _KEYS_KEPT:
            await self._ask()
        try:
            return self._decoded(token)
        except TokenError:
            if not await self._ask():  # the issuer may have changed its keys
                raise
            return self._decoded(token)

    def _decoded(self, token: str) -> Claims:
        if self._keys is None:
            raise TokenError("the issuer's keys could not be had")
        try:
            return dict(jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise TokenError("the token is malformed, or its signature does not hold") from error

    def _unverified(self, token: str) -> Claims:
        """Return the claims of a token that nobody here can verify: a user pool's, without a file of keys."""
        if not self._told:
            self._told = True
            self._say(
                f"Warning: tokens for the Cognito authorizer {self._authorizer.name} are read, not verified; "
                "name the user pool's JWKS file (--jwks)."
            )
        try:
            part = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except (ValueError, IndexError) as error:
            raise TokenError("the token is malformed") from error
        if not isinstance(claims, dict):
            raise TokenError("the token is malformed")
        return claims

    def _check(self, claims: Claims) -> None:
        now, wanted = self._clock(), self._authorizer
        if wanted.kind == "JWT":  # the user pool of a template has no issuer on this machine, nor clients
            if claims.get("iss") != wanted.issuer:
                raise TokenError("the token has an invalid issuer")
            given = claims.get("aud", claims.get("client_id"))
            if not set(given if isinstance(given, list) else [given]) & set(wanted.audience):
                raise TokenError("the token has an invalid audience")
        for name, holds in (("exp", lambda value: value > now), ("nbf", _before(now)), ("iat", _before(now))):
            value = claims.get(name)
            if value is None and name != "exp":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
                raise TokenError(f"the token has expired or is not valid yet ({name})")

    async def _ask(self) -> bool:
        """Get the keys anew, if that has not just been tried; returns whether there are newer ones."""
        async with self._lock:
            if time.monotonic() - self._asked < _ASK_AGAIN:
                return False
            self._asked = time.monotonic()
            try:
                self._keys = await asyncio.to_thread(self._fetch)
            except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
                self._say(
                    f"Warning: the keys of {self._file or self._authorizer.issuer} for the JWT authorizer "
                    f"{self._authorizer.name} cannot be had ({error}); without any its routes answer 401. "
                    "Name a JWKS file (--jwks)."
                )
                return False
            self._had = time.monotonic()
            return True

    def _fetch(self) -> KeySet:
        if self._file is not None:
            return KeySet.import_key_set(json.loads(self._file.read_text(encoding="utf-8")))
        place = f"{self._authorizer.issuer.rstrip('/')}/.well-known/openid-configuration"
        return KeySet.import_key_set(_get(str(_get(place)["jwks_uri"])))


def scopes_of(claims: Claims) -> list[str]:
    """Return the scopes of `scope` or `scp`: text with spaces, or a list."""
    scopes = claims.get("scope", claims.get("scp")) or ""
    return [str(one) for one in scopes] if isinstance(scopes, list) else str(scopes).split()


def shown_claims(claims: Claims) -> dict[str, str]:
    """Return the claims as the function gets them: every value as text, lists as [a b]."""
    return {name: _shown(value) for name, value in claims.items()}


def plain_claims(claims: Claims) -> dict[str, str]:
    """Return the claims as a REST API's Cognito authorizer tells them: every value as text, lists as a,b."""
    return {
        name: ",".join(str(one) for one in value) if isinstance(value, list) else _shown(value)
        for name, value in claims.items()
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{' '.join(str(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def _before(now: float) -> Callable[[float], bool]:
    return lambda value: value <= now


def _get(url: str) -> Any:  # noqa: ANN401 -- any JSON value
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no web address")
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 -- checked above
        return json.loads(answer.read(_MAX_KEYS))
