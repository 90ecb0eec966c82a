"""Browsers: which web pages may send telemetry. None, unless they are named.

A browser tells where the page comes from, and posts for any page at all unless the answer to that is no. So a request
with an origin that is not named is refused, before its body: a page on the internet must not write into a collector
that its reader runs.
"""

from collections.abc import Mapping

from faasight_collector.errors import PERMISSION_DENIED, Refusal

_MAX_AGE_S = 7200  # browsers keep a preflight's answer so long; Chromium no longer than this
_ALLOWED_HEADERS = b"authorization, content-type, content-encoding"
_EXPOSED = b"retry-after"  # a script sees no other header of an answer


class Origins:
    """The origins that are allowed, as browsers write them: `https://app.example.com`."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = frozenset(origin.encode("latin-1") for origin in allowed)

    def check(self, origin: bytes) -> bytes:
        """Return the header lines for the answer to a request from there. Raises Refusal (403)."""
        if origin not in self._allowed:
            raise Refusal(
                "origin",
                "web pages of this origin may not send here: add it to FAASIGHT_CORS_ORIGINS",
                http=403,
                code=PERMISSION_DENIED,
            )
        return b"access-control-allow-origin: %s\r\nvary: origin\r\naccess-control-expose-headers: %s\r\n" % (
            origin,
            _EXPOSED,
        )

    @staticmethod
    def preflight(headers: Mapping[bytes, bytes]) -> bytes:
        """Return the further header lines that answer a preflight request."""
        lines = b"access-control-allow-methods: POST\r\naccess-control-allow-headers: %s\r\n" % _ALLOWED_HEADERS
        lines += b"access-control-max-age: %d\r\n" % _MAX_AGE_S
        if headers.get(b"access-control-request-private-network") == b"true":
            lines += b"access-control-allow-private-network: true\r\n"
        return lines
