"""What the benchmarks of access measure: a collector whose store is away, so that only receiving costs.

_access_ours.py DIRECTORY plain|tokens|tls    prints its address and the token; ends with its standard input
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import structlog
from faasight_collector import Collector, Settings, TlsFiles
from faasight_collector.access import tokens
from faasight_store import Store, StoreUnavailableError

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.certificates import Authority  # beside the benchmarks


class StoreAway:
    """A store that cannot be reached."""

    def land(self, *_: object, **__: object) -> None:
        """Refuse, as a store that is away does."""
        raise StoreUnavailableError("the store is away")

    insert = command = query = land


def main() -> None:
    """Run until the standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    directory, way = Path(sys.argv[1]), sys.argv[2]
    secret, files, tls = "-", None, None
    if way == "tokens":
        secret, files = tokens.mint(), directory / "tokens.json"
        made = [
            tokens.Token(name=f"token-{n}", digest=tokens.digest(text.encode()), created=datetime.now(UTC))
            for n, text in enumerate([secret, *(tokens.mint() for _ in range(99))])
        ]
        tokens.write(files, tuple(made))
    if way == "tls":
        pair = Authority(directory).issue("collector")
        tls = TlsFiles(certificate=pair.certificate, key=pair.key)
    settings = Settings(
        journal_dir=directory / "journal", http_port=0, grpc_port=None, tokens=files, tls=tls, max_connections=20_000
    )
    collector = Collector(settings, cast(Store, StoreAway()))
    collector.start()
    print(f"ready {collector.http_address} {secret}", flush=True)
    sys.stdin.read()
    collector.stop()


if __name__ == "__main__":
    main()
