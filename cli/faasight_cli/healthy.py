"""Tells a container's health check whether the collector beside it is ready, whatever it asks of its senders.

    python -m faasight_cli.healthy

It runs every few seconds, so it reads the three variables that it needs by itself: to load all settings takes five
times as long. What is said on the command line it does not know.
"""

import os
import ssl
import sys
from collections.abc import Mapping
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

_TIMEOUT_S = 4
_DEFAULT = "127.0.0.1:4318"


def verdict(environ: Mapping[str, str]) -> str:
    """Return what is wrong, "" if nothing is."""
    host, _, port = environ.get("FAASIGHT_COLLECTOR_HTTP", _DEFAULT).rpartition(":")
    scheme = "https" if environ.get("FAASIGHT_TLS_CERTIFICATE") else "http"
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - not listened on
    url = f"{scheme}://{host}:{port}/readyz"
    unchecked = ssl.create_default_context()  # on this machine a name says nothing; and nothing secret is sent
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    try:
        with build_opener(ProxyHandler({}), HTTPSHandler(context=unchecked)).open(url, timeout=_TIMEOUT_S):
            return ""
    except HTTPError as error:
        return f"{url} says {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        if environ.get("FAASIGHT_TLS_CLIENT_CA") and _was_ended(error):
            return ""  # it lives; more it tells nobody without a certificate
        return f"{url} does not answer: {error}"


def _was_ended(error: OSError) -> bool:
    """Tell whether the other side ended the connection, as it does after the handshake without a certificate."""
    reason = error.reason if isinstance(error, URLError) else error
    return isinstance(reason, (ssl.SSLError, ConnectionResetError))


def main() -> int:
    """Say what is wrong on stderr; the exit status is 1 then."""
    wrong = verdict(os.environ)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
