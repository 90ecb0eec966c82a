"""Who signed a request: its access key as IAM's authorization tells functions of it. No signature is verified here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from faasight_emulator.http_server import Request
from faasight_emulator.model import Place
from faasight_emulator.routes import Match

_HEADER = re.compile(r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)")
_USER = "local"


@dataclass(frozen=True, slots=True)
class Signer:
    """Whoever has this access key."""

    access_key: str

    def context(self, match: Match, place: Place) -> Mapping[str, Any]:
        """Return requestContext.authorizer of a payload 2.0; empty for 1.0, which tells it as the identity."""
        return {"iam": {**self._told(place), "cognitoIdentity": None}} if match.route.payload == "2.0" else {}

    def identity(self, match: Match, place: Place) -> Mapping[str, Any]:
        """Return what stands in requestContext.identity of a payload 1.0."""
        if match.route.payload == "2.0":
            return {}
        told = self._told(place)
        return {
            "accessKey": told["accessKey"],
            "accountId": told["accountId"],
            "caller": told["callerId"],
            "user": told["userId"],
            "userArn": told["userArn"],
        }

    def _told(self, place: Place) -> dict[str, str]:
        return {
            "accessKey": self.access_key,
            "accountId": place.account,
            "callerId": "AIDALOCALEMULATOR",
            "principalOrgId": "o-local",
            "userArn": f"arn:aws:iam::{place.account}:user/{_USER}",
            "userId": "AIDALOCALEMULATOR",
        }


def signer_of(request: Request) -> Signer | None:
    """Return who has signed a request, by its header or its query; None if nobody has."""
    found = _HEADER.match(request.header("authorization"))
    if found is not None:
        return Signer(found.group(1))
    query = parse_qs(request.query)
    signed = query.get("X-Amz-Algorithm") == ["AWS4-HMAC-SHA256"] and "X-Amz-Signature" in query
    key = query.get("X-Amz-Credential", [""])[0].split("/")[0]
    return Signer(key) if signed and key else None
