"""Tells a container's health check whether anybody evaluates the rules.

    printf %s "$FAASIGHT_STORE" | python -m faasight_alerts.healthy

The store's address comes by stdin, because it holds a password and every user of a machine can read command lines.
"""

import sys
from datetime import UTC, datetime

from faasight_store import Store, StoreError
from faasight_store.queries import alerts as stored


def verdict(dsn: str, now: datetime) -> str:
    """Return what is wrong, "" if nothing is. Raises StoreError."""
    with Store.open(dsn) as store:
        lease = stored.lease(store)
    if lease is None:
        return "nobody has evaluated the rules yet"
    if lease.expires_at <= now:
        return f"the rules were last evaluated at {lease.at:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def main() -> int:
    """Say what is wrong on stderr; the exit status is 1 then."""
    try:
        wrong = verdict(sys.stdin.read().strip(), datetime.now(UTC))
    except StoreError as error:
        wrong = str(error)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
