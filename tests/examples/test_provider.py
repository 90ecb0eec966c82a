"""The shop's provider and carrier: the same seed gives the same fates, and phases of trouble come and go."""

import importlib.util
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture(scope="module")
def provider() -> ModuleType:
    """Load examples/shop/provider.py."""
    spec = importlib.util.spec_from_file_location("shop_provider", SHOP / "provider.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def serve(provider: ModuleType) -> Iterator[Callable[[object, float], str]]:
    """Serve a kind of provider, so long after its start; give its URL."""
    services = []

    def start(kind: object, elapsed_s: float) -> str:
        times = iter([0.0])
        service = provider.Service(0, kind, clock=lambda: next(times, elapsed_s))
        threading.Thread(target=service.serve_forever, daemon=True).start()
        services.append(service)
        return f"http://127.0.0.1:{service.server_port}"

    yield start
    for service in services:
        service.shutdown()
        service.server_close()


def fates(provider: ModuleType, kind: str, seed: int, elapsed_s: float, count: int = 2000) -> list[object]:
    drawn = getattr(provider, kind)(seed)
    return [drawn.fate(elapsed_s) for _ in range(count)]


@pytest.mark.parametrize("kind", ["PaymentProvider", "Carrier"])
def test_fates_are_drawn_from_the_seed(provider: ModuleType, kind: str) -> None:
    assert fates(provider, kind, 7, 0) == fates(provider, kind, 7, 0)
    assert fates(provider, kind, 7, 0) != fates(provider, kind, 8, 0)


def test_a_request_draws_the_same_whatever_befell_the_others(provider: ModuleType) -> None:
    calm, trouble = provider.PaymentProvider(3), provider.PaymentProvider(3)
    for _ in range(100):
        calm.fate(0)
        trouble.fate(100)
    assert calm.fate(0) == trouble.fate(0)


def test_trouble_comes_after_the_calm_and_goes_again(provider: ModuleType) -> None:
    payments = provider.PaymentProvider(1, calm_s=60, trouble_s=120, cycle_s=420)
    phases = [payments.in_trouble(at) for at in (0, 59, 60, 179, 180, 419, 479, 480, 599, 600)]
    assert phases == [False, False, True, True, False, False, False, True, True, False]


def test_half_of_the_charges_fail_in_trouble_and_few_before(provider: ModuleType) -> None:
    calm = Counter(fate.status for fate in fates(provider, "PaymentProvider", 1, 0) if fate.delay_s < 1.5)
    trouble = Counter(fate.status for fate in fates(provider, "PaymentProvider", 1, 100) if fate.delay_s < 1.5)
    assert calm[200] > 0.9 * 2000
    assert 0.4 * 2000 < trouble[200] < 0.55 * 2000
    assert trouble[500] > trouble[429] > 50
    assert calm[402] and trouble[402]


def test_the_carrier_comes_near_the_limit_and_beyond(provider: ModuleType) -> None:
    delays = [fate.delay_s for fate in fates(provider, "Carrier", 1, 0)]
    assert 0.04 < sum(2.5 <= delay < 3 for delay in delays) / 2000 < 0.08
    assert 0.01 < sum(delay > 3 for delay in delays) / 2000 < 0.03
    assert sorted(delays)[1000] < 0.2


def test_the_server_answers_as_fate_decides(provider: ModuleType, serve: Callable[[object, float], str]) -> None:
    expected = [fate for fate in fates(provider, "PaymentProvider", 5, 100, 30) if fate.delay_s < 0.2][:10]
    payments = provider.PaymentProvider(5)
    quick = [fate.delay_s < 0.2 for fate in fates(provider, "PaymentProvider", 5, 100, 30)]
    url = serve(payments, 100.0)
    answers = []
    for is_quick in quick:
        if not is_quick:
            payments.fate(100.0)  # a slow one is not waited for
            continue
        answers.append(post(f"{url}/charges"))
    assert answers[:10] == [(fate.status, fate.answer) for fate in expected]
    assert {status for status, _ in answers} > {200}


def test_another_path_is_not_found(provider: ModuleType, serve: Callable[[object, float], str]) -> None:
    assert post(serve(provider.Carrier(1), 0.0) + "/charges")[0] == 404


def post(url: str) -> tuple[int, dict[str, str]]:
    try:
        with urlopen(Request(url, data=b'{"order_id": "1"}', method="POST"), timeout=180) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)
