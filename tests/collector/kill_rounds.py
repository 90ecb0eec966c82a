"""Kills what carries telemetry, at random instants under load, and compares what was acknowledged with what is stored.

    python tests/collector/kill_rounds.py [--mode embedded|server|store|workers] [--rounds 50] [--seed N]

embedded: collector and engine in one process; server: a collector before the ClickHouse HTTP interface; store: that
interface with its engine is killed; workers: one of three workers, and every fifth time their supervisor with all of
them. The last line is a JSON object; the exit status is 1 if anything was lost or doubled.
"""

import argparse
import json
import random
import secrets
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from killing import SIGTERM, Process, Sender, clickhouse, collector, compare, stored, unshipped, workers
from polling import wait_until
from ports import free_ports

SENDERS = 8
WORKERS = 3


class World:
    """What runs in one mode, and what is killed there."""

    def __init__(self, mode: str, folder: Path, chance: random.Random, server: str) -> None:
        self.mode, self._chance, self._round = mode, chance, 0
        engine_port, port = free_ports(2)
        self.engine = clickhouse(folder, engine_port) if mode != "embedded" and not server else None
        of_server = server or f"clickhouse://127.0.0.1:{engine_port}/killed"
        self.dsn = f"chdb://{folder / 'data'}" if mode == "embedded" else of_server
        self.collector = (
            workers(self.dsn, folder, WORKERS, port) if mode == "workers" else collector(self.dsn, folder, port)
        )

    def start(self) -> None:
        """Start everything."""
        if self.engine:
            self.engine.start()
        self.collector.start()

    def kill(self) -> None:
        """Kill what the mode is about, and start it again."""
        self._round += 1
        if self.mode == "store":
            assert self.engine is not None
            _again(self.engine)
        elif self.mode == "workers" and self._round % 5:
            self.collector.kill_one_below(self._chance)  # the supervisor starts it again
        else:
            _again(self.collector)

    def end(self) -> None:
        """Kill what is left."""
        self.collector.kill()
        if self.engine:
            self.engine.kill()


def _again(process: Process) -> None:
    process.kill()
    process.start()


def run(
    mode: str, rounds: int, seed: int, *, longest_s: float = 1.5, patience_s: float = 120, server: str = ""
) -> dict[str, object]:
    """Kill `rounds` times and return what became of the spans; `server` is a store that runs already, to be used."""
    chance, name = random.Random(seed), secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="kill-rounds-") as folder:
        world = World(mode, Path(folder), chance, server)
        try:
            world.start()
            address = world.collector.said
            senders = [Sender(address, name, pause_s=0.005) for _ in range(SENDERS)]
            for sender in senders:
                sender.start()
            for _ in range(rounds):
                before = sum(sender.requests for sender in senders)
                wait_until(
                    lambda before=before: sum(s.requests for s in senders) > before + SENDERS, "more is sent", 120
                )
                time.sleep(chance.random() * longest_s)  # any instant: in a write, in an insert, between them
                world.kill()
            for sender in senders:
                sender.stop()
            try:
                wait_until(lambda: not unshipped(Path(folder) / "journal"), "all is shipped", patience_s)
            except AssertionError:
                sys.stderr.write("\n".join([*unshipped(Path(folder) / "journal"), world.collector.last_lines()]) + "\n")
                raise
            world.collector.stop(SIGTERM if mode == "workers" else 0)
            acknowledged = [span_id for sender in senders for span_id in sender.acknowledged]
            result = compare(acknowledged, stored(world.dsn, name))
            cut_off = sum(sender.resent for sender in senders)
            if mode == "store":  # no sender notices
                cut_off = (Path(folder) / "collector.log").read_text().count("the store takes no segments")
        finally:
            world.end()
    return {"mode": mode, "rounds": rounds, "seed": seed, "cut_off": cut_off, **result}


def main() -> int:
    """Run one mode, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["embedded", "server", "store", "workers", "all"], default="all")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 30))
    arguments = parser.parse_args()
    modes = ["embedded", "server", "store", "workers"] if arguments.mode == "all" else [arguments.mode]
    broken = False
    for mode in modes:
        result = run(mode, arguments.rounds, arguments.seed, patience_s=1800)
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
        broken |= bool(result["lost"] or result["doubled"] or result["unacknowledged"])
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
