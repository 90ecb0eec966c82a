"""Customers of the shop: they look around, search, buy and ask for their orders, with the rhythm of a day.

They stop by themselves. When who comes and what each does is drawn from a seed and planned before it happens (see
`plan`); a shop that is slow gets fewer of them at once, and nobody hurries to make up for what is late.
"""

import argparse
import json
import math
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

DAY_S = 600.0  # a day of the shop passes in ten minutes
BURST_EVERY_S = 20.0
PRODUCTS = ["tea-green", "tea-black", "tea-mint", "coffee-mild", "coffee-dark", "cocoa"]
PRODUCTS += ["cup", "pot", "kettle", "grinder", "honey", "biscuits"]
WORDS = ["tea", "coffee", "cup", "250 g", "honey", "steel"]
SLOW_S = 3.0  # an answer that takes longer
ROOM, ROOM_OF_THE_SLOW = 16, 3  # customers at once
PATIENCE_S = 60.0  # for one answer
LATE_S = 60.0  # the end of a plan may be so late


@dataclass(frozen=True)
class Step:
    """One request of a customer. `{order}` in the path stands for the order placed before."""

    method: str
    path: str
    body: str = ""
    pause_s: float = 0.0  # before it


@dataclass(frozen=True)
class Visit:
    """What one customer does, `at_s` seconds after the start."""

    at_s: float
    steps: tuple[Step, ...]


def plan(seed: int, seconds: float, rate: float) -> Iterator[Visit]:
    """Yield the visits of so many seconds by time; `rate` is their mean number a second.

    Arrivals are random (a Poisson process) around a curve that is lowest at the day's start and highest in its middle;
    every 20 seconds a newsletter makes several customers search at once.
    """
    chance = random.Random(seed)
    at_s, next_burst_s = 0.0, BURST_EVERY_S / 2
    while True:
        busy = 1 - 0.6 * math.cos(
            2 * math.pi * (at_s / DAY_S + 0.15)
        )  # of the mean; begins in the morning, not at night
        at_s += chance.expovariate(rate * busy)
        while next_burst_s < min(at_s, seconds):
            for _ in range(chance.randint(3, 8)):
                yield Visit(next_burst_s, (search(chance),))
            next_burst_s += BURST_EVERY_S
        if at_s >= seconds:
            return
        yield Visit(at_s, tuple(visit(chance)))


def visit(chance: random.Random) -> Iterator[Step]:
    """Yield the steps of one customer: all look around, some search, some buy and ask for their order."""
    yield Step("GET", "/products")
    if chance.random() < 0.3:
        yield search(chance)
    if chance.random() < 0.2:
        yield Step("GET", f"/recommendations?product={chance.choice(PRODUCTS)}", pause_s=chance.uniform(0.2, 1))
    if chance.random() < 0.55:
        yield Step("POST", "/checkout", cart(chance), pause_s=chance.uniform(0.2, 1.5))
        yield Step("GET", "/orders/{order}", pause_s=chance.uniform(0.5, 3))


def search(chance: random.Random) -> Step:
    """Return a search for a word."""
    return Step("GET", f"/search?q={chance.choice(WORDS).replace(' ', '+')}")


def cart(chance: random.Random) -> str:
    """Return a cart as JSON: one in fifty is empty, one in fifty comes from somebody without a proper address."""
    count = 0 if chance.random() < 0.02 else chance.randint(1, 3)
    items = [{"product": name, "quantity": chance.randint(1, 3)} for name in chance.sample(PRODUCTS, count)]
    name = f"customer{chance.randint(1, 999)}"
    return json.dumps({"items": items, "email": name if chance.random() < 0.02 else f"{name}@example.com"})


class Room:
    """How many customers may be in the shop at once: half as many after a slow answer, one more after a quick one.

    Each one that comes to a slow shop makes it slower for the others: it starts a sandbox more, on the CPUs that theirs
    wait for.
    """

    def __init__(self, most: int = ROOM) -> None:
        self.size = self._most = most
        self._inside = 0
        self._changed = threading.Condition()

    def enter(self) -> None:
        """Wait for a place and take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self.size)
            self._inside += 1

    def leave(self) -> None:
        """Give the place back."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()

    def answered(self, took_s: float) -> None:
        """Take note of how long the shop took for an answer."""
        with self._changed:
            slow = took_s > SLOW_S
            self.size = max(ROOM_OF_THE_SLOW, self.size // 2) if slow else min(self._most, self.size + 1)
            self._changed.notify()


class Customers:
    """Walks through visits against the shop's gateway and counts the answers."""

    def __init__(self, gateway: str) -> None:
        self.answers: Counter[str] = Counter()
        self.room = Room()
        self._gateway = gateway.rstrip("/")
        self._http = urllib3.PoolManager(maxsize=ROOM, retries=False, timeout=urllib3.Timeout(PATIENCE_S))
        self._leaving = threading.Event()

    def open_shop(self, patience_s: float = 180) -> bool:
        """Have the shelves filled, and tell whether the shop answered in time."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if self._ask(Step("POST", "/restock"), "")[0] == 200:
                return True
            time.sleep(0.5)
        return False

    def walk(self, visits: Iterable[Visit], within_s: float = math.inf) -> None:
        """Make each visit at its time; where one has to wait for a place, the rest of the plan comes as much later.

        None begins later than `within_s`.
        """
        start = time.monotonic()
        end = start + within_s
        with ThreadPoolExecutor(ROOM) as hands:
            try:
                for one in visits:
                    time.sleep(max(0.0, start + one.at_s - time.monotonic()))
                    self.room.enter()
                    start += max(0.0, time.monotonic() - start - one.at_s)
                    if time.monotonic() >= end:
                        return
                    hands.submit(self._visit, one).add_done_callback(lambda _: self.room.leave())
            except KeyboardInterrupt:
                self._leaving.set()  # everybody finishes the request that they are at, and goes

    def _visit(self, one: Visit) -> None:
        order = ""
        for step in one.steps:
            if self._leaving.wait(step.pause_s):
                return
            status, content = self._ask(step, order)
            self.answers[f"{step.method} {step.path.partition('?')[0]} {status}"] += 1
            if step.method == "POST":
                if status != 202:
                    return  # nothing was ordered, so there is nothing to ask for
                order = content["id"]

    def _ask(self, step: Step, order: str) -> tuple[int, dict[str, str]]:
        """Return the status and the content of the answer, 0 if there was none."""
        url = self._gateway + step.path.replace("{order}", order)
        asked = time.monotonic()
        try:
            answer = self._http.request(step.method, url, body=step.body or None)
            return answer.status, json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return 0, {}
        finally:
            self.room.answered(time.monotonic() - asked)


def interrupt(*_: object) -> None:
    """Take SIGTERM for a Ctrl+C, once: the customers are leaving already when it comes again."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Run until the time is over, or until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--gateway", default="http://127.0.0.1:3000", help="where the shop answers (http://127.0.0.1:3000)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=8 * 3600,
        help="stop after so long, or a minute later if the shop is slow (8 hours)",
    )
    parser.add_argument("--rate", type=float, default=1.5, help="customers a second, in the mean (1.5)")
    parser.add_argument("--seed", type=int, default=1, help="what chance is drawn from (1)")
    chosen = parser.parse_args()
    if chosen.seconds <= 0 or chosen.rate <= 0:
        parser.error("--seconds and --rate must be more than 0")
    customers = Customers(chosen.gateway)
    signal.signal(signal.SIGTERM, interrupt)
    if not customers.open_shop():
        sys.exit(
            f"the shop at {chosen.gateway} does not answer; start it: faasight local start examples/shop/template.yaml"
        )
    customers.walk(plan(chosen.seed, chosen.seconds, chosen.rate), chosen.seconds + LATE_S)
    for answer, count in sorted(customers.answers.items()):
        sys.stdout.write(f"{count:7,d}  {answer}\n")


if __name__ == "__main__":
    main()
