"""What an invocation costs under Google's and Azure's hosts, beside the same on AWS: CPU, flush included.

Each in a process of its own, with a near collector that answers at once; the rounds of the three take turns, so that
whatever else the machine does meets all of them. The request is each host's own class, the function does nothing.
"""

import json
import operator
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from _near_collector import near_collector

HOSTS = ("aws", "google", "azure")
ENVIRONMENTS = {
    "aws": {},
    "google": {"K_SERVICE": "orders", "FUNCTION_TARGET": "orders"},
    "azure": {"FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_SITE_NAME": "shop"},
}
ROUNDS, CALLS = 30, 100
GOAL = 1.5  # of what an invocation costs on AWS
HEADERS = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "user-agent": "benchmark"}
URL = "https://shop.example/api/orders/7?key=value"


def function_of(host: str) -> Callable[[], object]:
    """Return one call of an observed function, with what that host would hand it."""
    import faasight

    @faasight.observe
    def orders(req: object, context: object = None) -> tuple[str, int]:  # noqa: ARG001 - Azure calls by these names
        return "tea", 200

    if host == "google":
        import flask

        flask.Flask("orders").test_request_context("/api/orders/7?key=value", headers=HEADERS).push()
        request: Any = flask.request._get_current_object()  # type: ignore[attr-defined]  # of werkzeug's proxy
        return lambda: orders(request)
    if host == "azure":
        import azure.functions

        asked = azure.functions.HttpRequest("GET", URL, headers=HEADERS, body=b"")
        trace = SimpleNamespace(trace_parent="", trace_state="")
        context = SimpleNamespace(invocation_id="i-1", function_name="orders", trace_context=trace, retry_context=None)
        return lambda: orders(req=asked, context=context)
    http = {"http": {"method": "GET", "path": "/api/orders/7"}, "stage": "$default", "domainName": "shop.example"}
    event = {"requestContext": http, "rawPath": "/api/orders/7", "headers": HEADERS}
    return lambda: orders(event, None)


def subject(host: str) -> None:
    """Run a round for each line of stdin; write the microseconds of one call."""
    os.environ |= ENVIRONMENTS[host]
    call = function_of(host)
    for _ in range(CALLS):
        call()
    for _ in sys.stdin:
        began = time.thread_time_ns()
        for _ in range(CALLS):
            call()
        print((time.thread_time_ns() - began) / CALLS / 1000, flush=True)


def start(host: str, port: int) -> "subprocess.Popen[str]":
    """Start one subject."""
    return subprocess.Popen(
        [sys.executable, __file__, host],
        env={**os.environ, "FAASIGHT_ENDPOINT": f"http://127.0.0.1:{port}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def main() -> None:
    """Compare the three."""
    found: dict[str, list[float]] = {host: [] for host in HOSTS}
    with near_collector() as port:
        running = {host: start(host, port) for host in HOSTS}
        for _ in range(ROUNDS):
            for host, process in running.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("go\n")
                found[host].append(float(process.stdout.readline()))
        for process in running.values():
            process.communicate()
    medians = {host: statistics.median(values) for host, values in found.items()}
    for host in HOSTS:
        print(f"{host:<8} median {medians[host]:6.1f} us, least {min(found[host]):6.1f} us")
    pairs = {host: statistics.median(map(operator.truediv, found[host], found["aws"])) for host in HOSTS[1:]}
    slowest = max(pairs, key=lambda host: pairs[host])
    ratio = pairs[slowest]  # of rounds that ran one after the other
    print(
        json.dumps(
            {
                "name": "invocation_on_other_hosts",
                "ours": round(medians[slowest], 1),
                "peer": round(medians["aws"], 1),
                "unit": "us CPU",
                "ratio": round(ratio, 2),
                "goal": GOAL,
                "ok": ratio <= GOAL,
            }
        )
    )


if __name__ == "__main__":
    subject(sys.argv[1]) if len(sys.argv) > 1 else main()
