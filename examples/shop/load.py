"""Customers of the shop: they look around, search, buy and ask for their orders, with the rhythm of a day.

They stop by themselves. When who comes and what each does is drawn from a seed and planned before it happens:
see `plan`.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

DAY_S = 600.0  # a day of the shop passes in ten minutes
BURST_EVERY_S = 20.0
PRODUCTS = ["tea-green", "tea-black", "tea-mint", "coffee-mild", "coffee-dark", "cocoa"]
PRODUCTS += ["cup", "pot", "kettle", "grinder", "honey", "biscuits"]
WORDS = ["tea", "coffee", "cup", "250 g", "honey", "steel"]


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


class Customers:
    """Walks through visits against the shop's gateway and counts the answers."""

    def __init__(self, gateway: str, at_once: int = 24) -> None:
        self.answers: Counter[str] = Counter()
        self._gateway = gateway.rstrip("/")
        self._http = urllib3.PoolManager(maxsize=at_once, retries=False, timeout=urllib3.Timeout(30))
        self._at_once = at_once
        self._room = threading.BoundedSemaphore(at_once)
        self._leaving = threading.Event()

    def open_shop(self, patience_s: float = 60) -> bool:
        """Have the shelves filled, and tell whether the shop answered in time."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if self._ask(Step("POST", "/restock"), "")[0] == 200:
                return True
            time.sleep(0.5)
        return False

    def walk(self, visits: Iterator[Visit]) -> None:
        """Make each visit at its time, or later, when one customer has left of too many in the shop."""
        start = time.monotonic()
        with ThreadPoolExecutor(self._at_once) as hands:
            try:
                for one in visits:
                    self._room.acquire()
                    time.sleep(max(0.0, start + one.at_s - time.monotonic()))
                    hands.submit(self._visit, one).add_done_callback(lambda _: self._room.release())
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
        try:
            answer = self._http.request(step.method, url, body=step.body or None)
            return answer.status, json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return 0, {}


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
    parser.add_argument("--seconds", type=float, default=8 * 3600, help="stop after so long (8 hours)")
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
    customers.walk(plan(chosen.seed, chosen.seconds, chosen.rate))
    for answer, count in sorted(customers.answers.items()):
        sys.stdout.write(f"{count:7,d}  {answer}\n")


if __name__ == "__main__":
    main()
