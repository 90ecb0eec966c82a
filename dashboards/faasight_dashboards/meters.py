"""What the dashboards tell Prometheus of themselves: requests, queries of the store, and answers from the cache."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from flask import Flask, Response, g
from prometheus_client import CollectorRegistry, Counter, Histogram, Info

_PREFIX = "faasight_dashboards"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Meters:
    """Counters of one application, in a registry of their own: a process may have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            f"{_PREFIX}_requests",
            "Requests of browsers that were answered, by status",
            ["status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            f"{_PREFIX}_request_seconds",
            "How long an answer took, waits for the store included",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.query_seconds = Histogram(
            f"{_PREFIX}_query_seconds",
            "How long the store took for a query, failed ones too",
            ["query"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.query_failures = Counter(
            f"{_PREFIX}_query_failures",
            "Queries that the store did not answer",
            ["query", "error"],
            registry=self.registry,
        )
        self.asked = Counter(
            f"{_PREFIX}_cache",
            "Questions of pages: hit, where an answer was at hand or under way, or miss",
            ["result"],
            registry=self.registry,
        )
        for result in ("hit", "miss"):
            self.asked.labels(result)
        Info(f"{_PREFIX}_build", "What runs here", registry=self.registry).info(
            {"version": version("faasight-platform")}
        )

    @contextmanager
    def querying(self, name: str) -> Iterator[None]:
        """Time a query of the store, and count it if it fails."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            self.query_failures.labels(name, type(error).__name__).inc()
            raise
        finally:
            self.query_seconds.labels(name).observe(time.perf_counter() - began)

    def install(self, server: Flask) -> None:
        """Count what an application answers."""

        def begin() -> None:
            g.faasight_began = time.perf_counter()

        def end(response: Response) -> Response:
            self.requests.labels(str(response.status_code)).inc()
            self.request_seconds.observe(time.perf_counter() - g.faasight_began)
            return response

        server.before_request(begin)
        server.after_request(end)
