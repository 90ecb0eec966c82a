"""The shop's customers: planned from a seed, in the rhythm of a day, and bounded."""

import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from polling import wait_until
from quiet_server import QuietHandler, QuietServer

LOAD = Path(__file__).parents[2] / "examples" / "shop" / "load.py"


@pytest.fixture(scope="module")
def load() -> Iterator[ModuleType]:
    """Load examples/shop/load.py."""
    spec = importlib.util.spec_from_file_location("shop_load", LOAD)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop_load"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["shop_load"]


class Shop(QuietHandler):
    """Answers as the gateway would."""

    server: "Gateway"

    def answer(self) -> None:
        """Note the request and answer it."""
        self.server.seen.append((self.command, self.path, self.body()))
        self.server.at.append(time.monotonic())
        threading.Event().wait(self.server.hold_s)
        ordered = self.path == "/checkout"
        self.reply(202 if ordered else 200, {}, b'{"id": "o1"}' if ordered else b"{}")


class Gateway(QuietServer):
    """A gateway that remembers requests."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.at: list[float] = []  # when each came
        self.hold_s = 0.0  # before each answer
        super().__init__(Shop)
        self.url = f"http://{self.address}"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Run a gateway."""
    server = Gateway()
    yield server
    server.close()


def test_the_plan_is_drawn_from_the_seed(load: ModuleType) -> None:
    assert list(load.plan(1, 100, 2)) == list(load.plan(1, 100, 2))
    assert list(load.plan(1, 100, 2)) != list(load.plan(2, 100, 2))


def test_the_plan_ends_and_is_in_order(load: ModuleType) -> None:
    times = [visit.at_s for visit in load.plan(1, 300, 2)]
    assert times == sorted(times)
    assert 290 < times[-1] < 300


def test_a_day_has_its_rhythm_and_its_mean(load: ModuleType) -> None:
    visits = [visit for visit in load.plan(1, 6000, 2) if visit.steps[0].path == "/products"]
    assert 1.8 < len(visits) / 6000 < 2.2
    hours = Counter(int(visit.at_s % load.DAY_S // 60) for visit in visits)
    assert max(hours.values()) > 2.5 * min(hours.values())


def test_newsletters_make_several_search_at_once(load: ModuleType) -> None:
    together = Counter(visit.at_s for visit in load.plan(1, 100, 0.1))
    assert [at for at, count in sorted(together.items()) if count > 1] == [10, 30, 50, 70, 90]
    assert all(3 <= together[at] <= 8 for at in (10, 30, 50, 70, 90))


def test_customers_do_all_that_the_shop_offers(load: ModuleType) -> None:
    steps = Counter(
        f"{step.method} {step.path.partition('?')[0]}" for visit in load.plan(1, 600, 2) for step in visit.steps
    )
    assert set(steps) == {
        "GET /products",
        "GET /search",
        "GET /recommendations",
        "POST /checkout",
        "GET /orders/{order}",
    }
    carts = [json.loads(step.body) for visit in load.plan(1, 600, 2) for step in visit.steps if step.body]
    assert any(not cart["items"] for cart in carts)
    assert any("@" not in cart["email"] for cart in carts)
    assert sum("@" in cart["email"] for cart in carts) > 0.9 * len(carts)


def test_customers_do_as_planned(load: ModuleType, gateway: Gateway) -> None:
    customers = load.Customers(gateway.url)
    assert customers.open_shop()
    planned = list(load.plan(1, 2, 10))
    customers.walk(planned)
    assert gateway.seen[0][:2] == ("POST", "/restock")
    paths = Counter(path.partition("?")[0] for _, path, _ in gateway.seen)
    assert paths["/products"] == sum(visit.steps[0].path == "/products" for visit in planned)
    assert 0 < paths["/orders/o1"] <= paths["/checkout"]
    assert customers.answers.total() == len(gateway.seen) - 1


def test_the_load_stops_by_itself(gateway: Gateway) -> None:
    command = [sys.executable, str(LOAD), "--gateway", gateway.url, "--seconds", "1", "--rate", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    told = sum(int(line.split()[0].replace(",", "")) for line in done.stdout.splitlines())
    assert told == len(gateway.seen) - 1


def test_nobody_comes_after_the_end(load: ModuleType, gateway: Gateway) -> None:
    customers = load.Customers(gateway.url)
    customers.walk(load.plan(1, 2, 10), 0)
    assert gateway.seen == []


def test_a_plan_that_is_late_comes_later(load: ModuleType, gateway: Gateway) -> None:
    """Three were planned for one moment and come one by one; who comes a second after them does so still."""
    customers = load.Customers(gateway.url)
    customers.room = load.Room(1)
    gateway.hold_s = 0.4
    look = (load.Step("GET", "/products"),)
    customers.walk([*[load.Visit(0, look)] * 3, load.Visit(1, (load.Step("GET", "/search"),))])
    paths = [path for _, path, _ in gateway.seen]
    assert paths == ["/products"] * 3 + ["/search"]
    assert gateway.at[3] - gateway.at[1] >= 0.4 + 1 - 0.01, "a second after the third, who waited for the second"


def test_fewer_at_once_while_the_shop_is_slow(load: ModuleType) -> None:
    room = load.Room(16)
    sizes = []
    for took_s in [0.1, *[load.SLOW_S + 1] * 5, *[0.1] * 20]:
        room.answered(took_s)
        sizes.append(room.size)
    assert sizes[:6] == [16, 8, 4, 3, 3, 3]
    assert sizes[6:] == [*range(4, 16), *[16] * 8]


def test_who_finds_no_place_waits_for_one(load: ModuleType) -> None:
    room = load.Room(1)
    room.enter()
    entered = threading.Event()
    second = threading.Thread(target=lambda: (room.enter(), entered.set()), daemon=True)
    second.start()
    assert not entered.wait(0.1)
    room.leave()
    assert entered.wait(180)


def test_ctrl_c_ends_it_soon_and_in_order(gateway: Gateway) -> None:
    process = subprocess.Popen(
        [sys.executable, str(LOAD), "--gateway", gateway.url, "--seconds", "60", "--rate", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(gateway.seen) >= 5, "the customers have come")
    process.terminate()
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (0, "")
    assert "GET /products 200" in out


@pytest.mark.parametrize("option", ["--seconds", "--rate"])
def test_nonsense_is_refused(option: str) -> None:
    done = subprocess.run([sys.executable, str(LOAD), option, "0"], capture_output=True, text=True, timeout=180)
    assert done.returncode == 2
    assert "more than 0" in done.stderr
