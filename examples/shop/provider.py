"""The services that the shop buys from, played by two small HTTP servers: a payment provider and a parcel carrier.

Both are slow and faulty now and then, and the payment provider has phases of trouble. Which request meets which fate is
drawn from a seed, so that two runs of the same requests are alike.
"""

import argparse
import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fate:
    """What becomes of one request."""

    status: int
    delay_s: float
    answer: dict[str, str]


class PaymentProvider:
    """Decides on charges; half of them fail in a phase of trouble.

    That begins `calm_s` after the start of each cycle of `cycle_s` seconds, and takes `trouble_s`.
    """

    path = "/charges"

    def __init__(self, seed: int, *, calm_s: float = 60, trouble_s: float = 120, cycle_s: float = 420) -> None:
        self._draw = random.Random(seed)
        self._calm_s, self._trouble_s, self._cycle_s = calm_s, trouble_s, cycle_s

    def in_trouble(self, elapsed_s: float) -> bool:
        """Tell whether the provider is in a phase of trouble so long after its start."""
        return self._calm_s <= elapsed_s % self._cycle_s < self._calm_s + self._trouble_s

    def fate(self, elapsed_s: float) -> Fate:
        """Return the next request's fate; draws the same numbers whatever the outcome."""
        luck, latency, number = self._draw.random(), self._draw.lognormvariate(-2.9, 0.5), self._draw.getrandbits(32)
        failing = 0.5 if self.in_trouble(elapsed_s) else 0.015
        if luck < failing * 0.5:
            return Fate(500, latency, {"reason": "internal error"})
        if luck < failing * 0.7:
            return Fate(429, 0.005, {"reason": "too many requests"})
        if luck < failing:
            return Fate(200, 1.6 + latency * 4, {"charge": f"ch_{number:08x}"})  # the shop gives up after 1.5 s
        if luck > 0.97:
            return Fate(402, latency, {"reason": "insufficient funds"})
        return Fate(200, latency, {"charge": f"ch_{number:08x}"})


class Carrier:
    """Hands out parcel labels; some come near to the three seconds that the shop's shipping has, and some after."""

    path = "/labels"

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def fate(self, _elapsed_s: float) -> Fate:
        """Return the next request's fate; draws the same numbers whatever the outcome."""
        luck, latency, number = self._draw.random(), self._draw.lognormvariate(-2.2, 0.4), self._draw.getrandbits(32)
        if luck < 0.02:
            latency = 3.5 + latency
        elif luck < 0.08:
            latency = 2.5 + min(latency, 0.35)
        return Fate(200, latency, {"parcel": f"P{number:010d}"})


class Service(ThreadingHTTPServer):
    """One of them on a port of 127.0.0.1; port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, kind: PaymentProvider | Carrier, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(("127.0.0.1", port), Requests)
        self.kind = kind
        self._clock, self._started = clock, clock()
        self._one_at_a_time = threading.Lock()

    def fate(self) -> Fate:
        """Return the next request's fate."""
        with self._one_at_a_time:
            return self.kind.fate(self._clock() - self._started)


class Requests(BaseHTTPRequestHandler):
    """Answers `POST` on the service's one path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a small answer would wait 40 ms for the client's acknowledgement
    server: Service

    def do_POST(self) -> None:
        """Do as fate decides, after its delay."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != self.server.kind.path:
            self._answer(404, {"reason": f"only {self.server.kind.path} is here"})
            return
        fate = self.server.fate()
        time.sleep(fate.delay_s)
        self._answer(fate.status, fate.answer)

    def _answer(self, status: int, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the caller gave up, or was killed

    def log_message(self, *_args: object) -> None:
        """Say nothing: the shop's own logs tell the story."""


def main() -> None:
    """Serve both until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=4010, help="port of the payment provider (4010)")
    parser.add_argument("--carrier-port", type=int, default=4011, help="port of the carrier (4011)")
    parser.add_argument("--seed", type=int, default=1, help="what chance is drawn from (1)")
    chosen = parser.parse_args()
    try:
        services = [
            Service(chosen.port, PaymentProvider(chosen.seed)),
            Service(chosen.carrier_port, Carrier(chosen.seed)),
        ]
    except OSError as problem:
        sys.exit(
            f"cannot listen on 127.0.0.1:{chosen.port} and {chosen.carrier_port}: {problem}; try --port, --carrier-port"
        )
    for service in services:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        sys.stdout.write(f"{service.kind.path} on http://127.0.0.1:{service.server_port}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    main()
