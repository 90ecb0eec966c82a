"""An hour of a small shop, as its wrapper and its platform tell of it: the same numbers in every run."""

import math
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from faasight_store import Store
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp import MS, Run, records, segment, span

HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Kind:
    """How one function of the shop behaves."""

    count: int  # invocations in the hour
    typical_ms: float
    fails_every: int = 0  # 0: never
    error: tuple[str, str] = ("", "")
    cold_every: int = 40
    memory_mb: int = 256
    queued: bool = False


FUNCTIONS = {
    "checkout": Kind(150, 90, cold_every=30, memory_mb=512),
    "order": Kind(140, 70),
    "payment": Kind(140, 420, 10, ("CardDeclined", "issuer refused the card"), queued=True),
    "stock": Kind(130, 45, queued=True),
    "shipping": Kind(
        120, 600, 40, ("ReadTimeout", "the carrier did not answer within 3.0 s"), memory_mb=512, queued=True
    ),
    "notification": Kind(120, 120, queued=True),
    "order-report": Kind(6, 2100, 3, ("MemoryError", "report too large"), cold_every=2, memory_mb=1024),
}
THROTTLED = ("stock", 25)


def runs(now: datetime) -> Iterator[Run]:
    """Return every invocation of the hour before `now`."""
    chance = random.Random(7)
    end_ns = int(now.timestamp() * 1e9)
    for name, kind in FUNCTIONS.items():
        for number in range(kind.count):
            age_s = (number + 0.5) * HOUR_S / kind.count
            failed = bool(kind.fails_every) and number % kind.fails_every == 0
            yield Run(
                end_ns - int(age_s * 1e9),
                min(2900.0, kind.typical_ms * math.exp(chance.gauss(0, 0.4))),
                name,
                outcome="error" if failed else "ok",
                error_type=kind.error[0] if failed else "",
                message=kind.error[1] if failed else "",
                cold=number % kind.cold_every == 0,
                init_ms=chance.gauss(420, 40),
                environment="prod",
                memory_mb=kind.memory_mb,
                memory_used_mb=int(kind.memory_mb * chance.uniform(0.3, 0.5)),
                attributes=_queued(chance) if kind.queued else {},
            )


def land_shop(store: Store, now: datetime) -> None:
    """Store the hour."""
    hour = list(runs(now))
    requests = [run.traces(*(_imports(run) if run.cold else [])) for run in hour]
    said = [run.record(kind) for run in hour for kind in ("start", "done", "report")]
    name, count = THROTTLED
    refused = [
        Run(int(now.timestamp() * 1e9) - (i + 1) * 10**9, function=name, environment="prod").record("throttle")
        for i in range(count)
    ]
    store.land("traces", segment(*requests), secrets.token_hex(8))
    store.land("records", records(*said, *refused), secrets.token_hex(8))


def _queued(chance: random.Random) -> dict[str, Any]:
    wait = chance.expovariate(1 / 80)
    source = {"faasight.source.kind": "queue", "faasight.source.name": "order-queue"}
    return {"faas.trigger": "pubsub", "faasight.queue_wait_ms": wait, **source}


def _imports(run: Run) -> list[Span]:
    return [
        span(
            f"import {module}",
            run.start_ns - 300 * MS,
            total,
            trace_id=run.trace_id,
            parent_span_id=run.span_id,
            attributes={"faasight.phase": "import", "faasight.import.module": module, "faasight.import.self_ms": own},
        )
        for module, total, own in (("boto3", 180.0, 40.0), ("pandas", 310.0, 120.0), ("shop.models", 12.0, 11.0))
    ]
