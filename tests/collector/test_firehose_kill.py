"""Firehose against a collector that is killed: what it repeats is stored once, whether it was answered or not."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from faasight_store import Store

from tests.collector.firehose_request import Delivery

RUNNER = Path(__file__).parent / "runner.py"
Eventually = Callable[[Callable[[], object]], None]


def start(dsn: str, journal: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, str(RUNNER), "run", dsn, str(journal)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = next(line.removeprefix("ready ").strip() for line in process.stdout if line.startswith("ready "))
    return process, address


def posted(delivery: Delivery, address: str) -> bool:
    try:
        return delivery.post(address).status_code == 200
    except requests.RequestException:
        return False  # it was killed before it answered: Firehose repeats


def test_what_is_repeated_around_kills_is_stored_once(
    shared_server: str, unique: str, tmp_path: Path, eventually: Eventually
) -> None:
    """The lines have no time of their own: only the request id tells a repetition."""
    dsn, rng = shared_server, random.Random(7)
    messages = [f"m-{n}" for n in range(120)]
    lines = [json.dumps({"message": message, "function": unique}).encode() for message in messages]
    waiting = [Delivery(tuple(lines[at : at + 4])) for at in range(0, len(lines), 4)]
    done: list[Delivery] = []
    for kill in (True, True, False):
        process, address = start(dsn, tmp_path / "journal")
        repeated = waiting + rng.sample(done, len(done) // 2)
        with process, ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(posted, delivery, address) for delivery in repeated]
            if kill:
                answers[len(waiting) // 3].result()  # some are answered, others on their way
                process.kill()
            taken = [delivery for delivery, answer in zip(repeated, answers, strict=True) if answer.result()]
            if not kill:
                assert len(taken) == len(repeated)
                assert process.stdin is not None
                process.stdin.close()  # it ends in order
        done += [delivery for delivery in taken if delivery in waiting]
        waiting = [delivery for delivery in waiting if delivery not in taken]
    assert len(done) == 30
    process, _ = start(dsn, tmp_path / "journal")  # ships what is left
    with process, Store.open(dsn) as store:

        def stored() -> Counter[str]:
            found = store.query("SELECT message FROM logs WHERE function = {name:String}", {"name": unique})
            return Counter(row for (row,) in found)

        eventually(lambda: len(stored()) == len(messages))
        assert stored() == Counter(messages)
        assert process.stdin is not None
        process.stdin.close()
