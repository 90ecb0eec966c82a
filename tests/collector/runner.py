"""A collector in a process of its own, for tests that kill it.

runner.py run DSN JOURNAL [PORT]    prints its HTTP address; stops in order when its standard input ends
                                    (RUNNER_SETTINGS in the environment: other settings, as JSON)
runner.py dump DSN NAME             prints the span ids that the store has for a span name, one a line
"""

import json
import os
import sys
from pathlib import Path

from faasight_collector import Collector, Settings
from faasight_store import Store


def main() -> None:
    """Do what the first argument says."""
    action, dsn, what, *port = sys.argv[1:]
    with Store.open(dsn) as store:
        if action == "dump":
            sql = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String}"
            sys.stdout.writelines(f"{row[0]}\n" for row in store.query(sql, {"name": what}, timeout_s=60))
            return
        store.migrate()
        chosen = {"segment_bytes": 50_000, "segment_age_s": 0.2} | json.loads(os.environ.get("RUNNER_SETTINGS", "{}"))
        settings = Settings(journal_dir=Path(what), http_port=int(port[0]) if port else 0, grpc_port=None, **chosen)
        collector = Collector(settings, store)
        collector.start()
        sys.stdout.write(f"ready {collector.http_address}\n")
        sys.stdout.flush()
        sys.stdin.read()
        collector.stop()


if __name__ == "__main__":
    main()
