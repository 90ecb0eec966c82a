"""Asks senders for a token: who may come in, how fast, and when each token was last used."""

import hmac
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

from faasight_collector.access.limit import RateLimit
from faasight_collector.access.tokens import INGEST, Token, digest, read
from faasight_collector.access.watch import FileWatch
from faasight_collector.errors import (
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    Refusal,
    TokenFileError,
)

log = structlog.get_logger()

_SCHEME = b"bearer "
_FIREHOSE_KEY = b"x-amz-firehose-access-key"  # how Amazon Data Firehose sends what it was given as access key
_LONGEST = 512  # bytes of a token; more is none of ours
_NONE = "this collector asks for a token: send the header 'Authorization: Bearer TOKEN'"


class Grant:
    """A token that was shown: its limits and its use. Lives as long as the token stands in the file."""

    __slots__ = ("bytes", "expires", "last_used", "requests", "token", "used")

    def __init__(self, token: Token, requests: RateLimit | None, size: RateLimit | None) -> None:
        self.token = token
        self.expires = token.expires.timestamp() if token.expires else math.inf
        self.requests = requests
        self.bytes = size
        self.used = 0  # requests
        self.last_used = 0.0  # Unix seconds; 0: never

    def spend(self, size: int) -> None:
        """Count the bytes of an accepted request against the token's rate."""
        if self.bytes is not None:
            self.bytes.spend(size)

    def wait_s(self) -> float:
        """Return how long the next request must wait; if it need not, that request is counted."""
        wait = max(limit.wait_s() for limit in (self.requests, self.bytes) if limit is not None)
        if not wait and self.requests is not None:
            self.requests.spend(1)
        return wait


class Guard:
    """The tokens of a file. Used on the event loop alone, so that it needs no lock.

    Looking a token up by its digest leaks nothing by its timing: who does not have the token cannot steer its digest.
    """

    def __init__(
        self,
        path: Path,
        *,
        requests_per_s: float = 0,
        bytes_per_s: float = 0,
        share: float = 1.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file. `share` is this process's part of each limit, where several take requests in.

        Raises TokenFileError.
        """
        self._path = path
        self._defaults = (requests_per_s, bytes_per_s)
        self._share = share
        self._clock = clock
        self._monotonic = monotonic
        self._watch = FileWatch(path)
        self._now = clock()
        self._grants: dict[bytes, Grant] = {}
        self._take(read(path))

    def refresh(self) -> None:
        """Take note of the time, and of a changed file; one that cannot be read leaves the tokens as they were."""
        self._now = self._clock()
        if not self._watch.changed():
            return
        try:
            self._take(read(self._path))
        except TokenFileError as error:
            log.error("the token file is not taken over; the tokens before stay valid", reason=str(error))
        else:
            log.info("tokens read again", tokens=len(self._grants))

    def grants(self) -> list[Grant]:
        """Return all tokens with their use; for other threads too."""
        return list(self._grants.copy().values())

    def admit(self, headers: Mapping[bytes, bytes], use: str = INGEST) -> Grant:
        """Return whose token a request carries, and count the request. Raises Refusal: 401, 403 or 429."""
        shown = headers.get(b"authorization")
        if shown is not None:
            if shown[:7].lower() != _SCHEME:
                raise _unauthenticated(_NONE)
            return self.verify(shown[7:].strip(), use)
        key = headers.get(_FIREHOSE_KEY)
        if key is None:
            raise _unauthenticated(_NONE)
        return self.verify(key.strip(), use)

    def verify(self, token: bytes, use: str = INGEST) -> Grant:
        """Return the grant of a token, and count a request. Raises Refusal: 401, 403 or 429."""
        if len(token) > _LONGEST:
            raise _unauthenticated("this token is not known here")
        seen = digest(token)
        grant = self._grants.get(seen)
        if grant is None or not hmac.compare_digest(grant.token.digest, seen):
            raise _unauthenticated("this token is not known here, or was revoked")
        if grant.expires <= self._now:
            raise _unauthenticated(f"the token {grant.token.name!r} has expired")
        if grant.token.use != use:
            raise Refusal("forbidden", f"this token is for {grant.token.use} alone", http=403, code=PERMISSION_DENIED)
        if (grant.requests is not None or grant.bytes is not None) and (wait := grant.wait_s()):
            raise Refusal(
                "rate_limited",
                f"the token {grant.token.name!r} sends faster than its limit",
                http=429,
                code=RESOURCE_EXHAUSTED,
                retry_after_s=math.ceil(wait),
            )
        grant.used += 1
        grant.last_used = self._now
        return grant

    def _take(self, tokens: tuple[Token, ...]) -> None:
        known, fresh = self._grants, {}
        for token in tokens:
            old = known.get(token.digest)
            if old is not None and old.token == token:
                fresh[token.digest] = old  # its buckets and counts go on
                continue
            grant = Grant(token, *self._limits(token))
            if old is not None:
                grant.used, grant.last_used = old.used, old.last_used
            fresh[token.digest] = grant
        self._grants = fresh
        now = datetime.fromtimestamp(self._now, UTC)
        if all(token.expired(now) for token in tokens):
            log.warning("no token is valid: everybody is refused; make one with `faasight tokens create NAME`")

    def _limits(self, token: Token) -> tuple[RateLimit | None, RateLimit | None]:
        wanted = (token.requests_per_s, token.bytes_per_s)
        rates = [own if own is not None else usual for own, usual in zip(wanted, self._defaults, strict=True)]
        requests, size = (RateLimit(rate * self._share, self._monotonic) if rate else None for rate in rates)
        return requests, size


def _unauthenticated(message: str) -> Refusal:
    return Refusal("unauthenticated", message, http=401, code=UNAUTHENTICATED)
