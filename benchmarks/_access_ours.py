"""What the access benchmark measures: a collector whose store is away, so that only receiving costs.

_access_ours.py DIRECTORY plain|tokens|tls    prints its address and the token; ends with its standard input
"""

import sys
from pathlib import Path
from typing import cast

import structlog
from faasight_collector import Collector, Settings
from faasight_store import Store, StoreUnavailableError


class StoreAway:
    """A store that cannot be reached."""

    def land(self, *_: object, **__: object) -> None:
        """Refuse, as a store that is away does."""
        raise StoreUnavailableError("the store is away")

    insert = command = query = land


def main() -> None:
    """Run until the standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    directory = Path(sys.argv[1])
    settings = Settings(journal_dir=directory / "journal", http_port=0, grpc_port=None)
    collector = Collector(settings, cast(Store, StoreAway()))
    collector.start()
    print(f"ready {collector.http_address} -", flush=True)
    sys.stdin.read()
    collector.stop()


if __name__ == "__main__":
    main()
