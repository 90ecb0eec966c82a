"""`make fuzz`: spoilt inputs for every door, for minutes; each must be refused cleanly, or be stored."""

import argparse
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from faasight_store import Store

from tests.fuzz.doors import DOORS, Input, doors, knock, make
from tests.fuzz.stored import Check

_BATCH = 400  # accepted parts that are stored together
_SLOW_S = 10.0  # of CPU for one input; 20 MiB of the worst that is let in take about 3


def main() -> int:
    """Fuzz until the time is over; return 1 if there was a finding."""
    arguments = _arguments()
    findings = 0
    with tempfile.TemporaryDirectory() as folder, Store.open(f"chdb://{folder}/store?database=fuzz") as store:
        store.migrate()
        check, opened = Check(store), doors(Path(folder) / "journal")
        counts: dict[str, Counter[str]] = {door: Counter() for door in arguments.door}
        accepted, number, end = [], 0, time.monotonic() + arguments.minutes * 60
        while time.monotonic() < end:
            seed = arguments.seed + number
            rng = random.Random(seed)
            given = make(rng, arguments.door[number % len(arguments.door)])
            number += 1
            began = time.process_time()
            try:
                outcome = knock(opened[given.door], given)
                assert time.process_time() - began < _SLOW_S, f"{time.process_time() - began:.1f} s of CPU"
            except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
                findings += 1
                _tell(given, seed)
                continue
            counts[given.door][outcome.refusal.reason if outcome.refusal else "accepted"] += 1
            accepted += outcome.parts
            if len(accepted) >= _BATCH:
                check.land(accepted)
                accepted = []
        check.land(accepted)
        findings += _report(counts, check, number)
    return 1 if findings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000, help="of the first input")
    parser.add_argument("--door", action="append", choices=DOORS, help="only this one; may be repeated")
    arguments = parser.parse_args()
    arguments.door = arguments.door or list(DOORS)
    print(f"seed {arguments.seed}; the same seed and doors make the same inputs")
    return arguments


def _tell(given: Input, seed: int) -> None:
    print(f"FINDING at seed {seed}: {given.door} {dict(given.headers)} {len(given.body)} bytes: {given.body[:300]!r}")
    traceback.print_exc(limit=-6)


def _report(counts: dict[str, Counter[str]], check: Check, number: int) -> int:
    for door, outcomes in counts.items():
        print(f"{door:20} " + ", ".join(f"{name} {count}" for name, count in outcomes.most_common()))
    found = check.found()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{number} inputs; rows expected {check.expected}, found {found}; peak memory {peak} MiB with the engine")
    for signal, payload, reason in check.refused[:5]:
        print(f"dead letter of {signal}: {reason[:300]} | {payload[:200]!r}")
    print(f"{len(check.refused)} payloads were taken and refused by the store: dead letters")
    return sum(found[name] != count for name, count in check.expected.items())


if __name__ == "__main__":
    sys.exit(main())
