"""Plays the issuer of tokens: writes its public key to a file, and prints a token of an administrator.

`python examples/api/tokens.py` writes jwks.json beside this file.
"""

import argparse
import json
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

ISSUER, AUDIENCE, SCOPE = "https://issuer.example.com/", "notes", "notes:delete"


def main() -> None:
    """Make a key, a JWKS file and a token."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jwks", type=Path, default=Path(__file__).with_name("jwks.json"))
    parser.add_argument("--seconds", type=int, default=3600, help="how long the token holds")
    chosen = parser.parse_args()
    key = RSAKey.generate_key(2048, {"kid": "example", "use": "sig", "alg": "RS256"})
    chosen.jwks.write_text(json.dumps(KeySet([key]).as_dict(private=False)), encoding="utf-8")
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "admin", "scope": SCOPE, "iat": now, "exp": now + chosen.seconds}
    print(jwt.encode({"alg": "RS256", "kid": "example"}, claims, key))  # noqa: T201 -- a command's answer


if __name__ == "__main__":
    main()
