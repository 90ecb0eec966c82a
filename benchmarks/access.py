"""What does it cost to ask for a token? CPU of the receiving process for each request, with tokens and without.

Small requests (5 spans, 64 connections) to a collector whose store is away, so that nothing but receiving is measured:
parse, ask for the token (one of 100 in the file), check, write, fdatasync, answer. Runs alternate; medians count.
With --tls a third kind is told, for which there is no goal: encrypting has its price.

    python benchmarks/access.py [--runs 5] [--tls]
"""

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import _load  # noqa: E402  # beside this file

REQUESTS, WARM, SPANS, CONNECTIONS = 20_000, 2_000, 5, 64
GOAL = 1.05


async def _send(address: str, work: list[bytes], context: ssl.SSLContext | None) -> int:
    loop = asyncio.get_running_loop()
    shared: Iterator[bytes] = iter(work)
    host, _, port = address.rpartition(":")
    ends = []
    for _ in range(CONNECTIONS):
        end: asyncio.Future[int] = loop.create_future()
        ends.append(end)
        await loop.create_connection(lambda end=end: _load.Client(shared, end), host, int(port), ssl=context)  # type: ignore[misc]
    return sum(await asyncio.gather(*ends))


def measure(way: str) -> float:
    """Return the CPU time of the collector's process, in microseconds a request."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "_access_ours.py"), folder, way]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, text=True, **streams) as process:  # type: ignore[call-overload]
            _, address, secret = process.stdout.readline().split()
            context = ssl.create_default_context(cafile=f"{folder}/ca.pem") if way == "tls" else None
            token = b"authorization: Bearer " + secret.encode() if way == "tokens" else b"x-nothing: " + bytes(65)
            plain = _load.requests(SPANS, REQUESTS + WARM)
            work = [request.replace(b"host: x", b"host: x\r\n" + token.replace(b"\0", b"-"), 1) for request in plain]
            asyncio.run(_send(address, work[:WARM], context))
            before = psutil.Process(process.pid).cpu_times()
            accepted = asyncio.run(_send(address, work[WARM:], context))
            after = psutil.Process(process.pid).cpu_times()
            process.stdin.close()
    if accepted != REQUESTS:
        raise SystemExit(f"only {accepted} of {REQUESTS} requests were accepted")
    return (after.user + after.system - before.user - before.system) / REQUESTS * 1e6


def main() -> None:
    """Measure, tell, and end with the line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tls", action="store_true")
    chosen = parser.parse_args()
    ways = ["plain", "tokens", *(["tls"] if chosen.tls else [])]
    runs = [{way: measure(way) for way in ways} for _ in range(chosen.runs)]
    found = {way: statistics.median(run[way] for run in runs) for way in ways}
    for way in ways:
        each = ", ".join(f"{run[way]:.1f}" for run in runs)
        print(f"{way:<8} {found[way]:6.1f} us of CPU a request ({each})")
    ratio = statistics.median(run["tokens"] / run["plain"] for run in runs)
    print(
        json.dumps(
            {
                "name": "tokens",
                "ours": round(found["tokens"], 1),
                "peer": round(found["plain"], 1),
                "unit": "us of CPU a request, with tokens and without",
                "ratio": round(ratio, 3),
                "goal": GOAL,
                "ok": ratio <= GOAL,
            }
        )
    )


if __name__ == "__main__":
    main()
