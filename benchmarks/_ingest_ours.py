"""What the ingest benchmark measures of ours: store and collector in one process.

_ingest_ours.py DIRECTORY    prints its address; each line of its standard input asks for the number of stored spans
"""

import sys
from pathlib import Path

from faasight_collector import Collector, Settings
from faasight_store import Store


def main() -> None:
    """Run until the standard input ends."""
    directory = Path(sys.argv[1])
    with Store.open(f"chdb://{directory / 'data'}") as store:
        store.migrate()
        collector = Collector(Settings(journal_dir=directory / "journal", http_port=0, grpc_port=None), store)
        collector.start()
        print(f"ready {collector.http_address}", flush=True)
        for _ in sys.stdin:
            print(f"spans {store.query('SELECT count() FROM spans')[0][0]}", flush=True)
        collector.stop()


if __name__ == "__main__":
    main()
