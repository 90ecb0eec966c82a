"""Three hours of a shop's own metrics, one of each kind, with what they must add up to."""

import math
import random
import time
from dataclasses import dataclass
from datetime import timedelta

import otlp
from faasight_store import Scope, Store
from faasight_store.times import HOUR, MINUTE, from_ns
from otlp_metrics import DELTA, Request

MINUTES = 180
_BASE = 2 ** (2**-5)  # of exponential buckets at scale 5


@dataclass(frozen=True, slots=True)
class History:
    """What was stored: `orders` in all by currency, lowest and highest `queue_depth`, all `checkout_ms` sorted."""

    store: Store
    scope: Scope
    orders: dict[str, int]
    queue_depth: tuple[float, float]
    checkout_ms: list[float]


def stored(store: Store) -> History:
    """Store the history of functions checkout and payment and return it."""
    rng, now = random.Random(5), time.time_ns()
    start = now // HOUR * HOUR - 4 * HOUR
    orders, depths, measured = {"EUR": 0, "USD": 0}, list[float](), list[float]()
    requests: list[Request] = []
    for minute in range(MINUTES):
        at = start + minute * MINUTE + 1
        new = {"EUR": rng.randrange(20), "USD": rng.randrange(5)}
        orders = {currency: orders[currency] + n for currency, n in new.items()}
        depths.append(float(rng.randrange(100)) if minute % 60 else 400.0)
        fresh = [rng.lognormvariate(4, 0.6) for _ in range(10)]
        measured += fresh
        checkout = Request(otlp.resource("checkout"))
        checkout.add(
            "sum", "shop.orders",
            [{"time_unix_nano": at, "start_time_unix_nano": start, "as_int": n, "attributes": {"currency": currency}}
             for currency, n in orders.items()],
            unit="{order}",
        )  # fmt: skip
        checkout.add("exponential_histogram", "shop.checkout", [_point(at, fresh)], temporality=DELTA, unit="ms")
        payment = Request(otlp.resource("payment"))
        payment.add("gauge", "shop.queue_depth", [{"time_unix_nano": at, "as_double": depths[-1]}], unit="{message}")
        requests += [checkout, payment]
    store.land("metrics", otlp.segment(*(request.message for request in requests)), "metrics history")
    scope = Scope(from_ns(start), from_ns(start) + timedelta(minutes=MINUTES))
    return History(store, scope, orders, (min(depths), max(depths)), sorted(measured))


def _point(at: int, values: list[float]) -> dict[str, object]:
    places = [math.ceil(math.log(value, _BASE)) - 1 for value in values]
    first = min(places)
    counts = [places.count(place) for place in range(first, max(places) + 1)]
    return {
        "time_unix_nano": at, "scale": 5, "count": len(values), "sum": sum(values), "min": min(values),
        "max": max(values), "positive": {"offset": first, "bucket_counts": counts},
    }  # fmt: skip
