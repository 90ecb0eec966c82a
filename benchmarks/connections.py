"""How many idle connections can the collector hold, and what does one cost? Others are served meanwhile.

Opens 10,000 connections to a collector in another process, half of which have sent a request before they fell silent,
asks it to take requests meanwhile, and reads its memory. With --tls the connections are TLS (fewer: handshakes cost).
The peer is the same collector with no connection but the one that sends.

    python benchmarks/connections.py [--connections 10000] [--tls]
"""

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))

import _load  # noqa: E402  # beside this file
from faasight_collector.receive import files  # noqa: E402

SENDING = 500  # requests, one after the other
GOAL_KIB = 16  # of memory a connection
_AT_ONCE = 200


async def _silent(host: str, port: int, context: ssl.SSLContext | None, first: bytes) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    if first:
        writer.write(first)
        await reader.readuntil(b"\r\n\r\n")
    return writer


async def _requests(host: str, port: int, context: ssl.SSLContext | None, work: list[bytes]) -> list[float]:
    """Send one after the other; return how long each took in ms."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    took = []
    for request in work:
        start = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        took.append((time.perf_counter() - start) * 1000)
    writer.close()
    return took


async def _measure(
    address: str, number: int, context: ssl.SSLContext | None, process: psutil.Process
) -> dict[str, float]:
    host, _, port = address.rpartition(":")
    work = _load.requests(5, 2 * SENDING + number)
    alone = await _requests(host, int(port), context, work[:SENDING])
    before = process.memory_info().rss
    held: list[asyncio.StreamWriter] = []
    start = time.perf_counter()
    for first in range(0, number, _AT_ONCE):
        some = range(first, min(first + _AT_ONCE, number))
        held += await asyncio.gather(
            *(_silent(host, int(port), context, work[2 * SENDING + n] if n % 2 else b"") for n in some)
        )
    opened_s = time.perf_counter() - start
    after = process.memory_info().rss
    idle = process.cpu_times()
    await asyncio.sleep(5)
    then = process.cpu_times()
    beside = await _requests(host, int(port), context, work[SENDING : 2 * SENDING])
    still = sum(1 for writer in held if not writer.transport.is_closing())
    for writer in held:
        writer.transport.abort()
    return {
        "held": still,
        "kib_each": (after - before) / number / 1024,
        "opened_s": opened_s,
        "idle_cpu_percent": (then.user + then.system - idle.user - idle.system) / 5 * 100,
        "p50_ms_alone": statistics.median(alone),
        "p50_ms_beside": statistics.median(beside),
        "rss_mib": after / 2**20,
    }


def main() -> None:
    """Measure, tell, and end with the line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--tls", action="store_true")
    chosen = parser.parse_args()
    files.places(2 * chosen.connections)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "_access_ours.py"), folder, "tls" if chosen.tls else "plain"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            _, address, _ = process.stdout.readline().split()
            context = ssl.create_default_context(cafile=f"{folder}/ca.pem") if chosen.tls else None
            found = asyncio.run(_measure(address, chosen.connections, context, psutil.Process(process.pid)))
            process.stdin.close()
    for name, value in found.items():
        print(f"{name:<20} {value:,.2f}")
    ok = found["held"] == chosen.connections and (chosen.tls or found["kib_each"] <= GOAL_KIB)
    print(
        json.dumps(
            {
                "name": f"idle_connections{'_tls' * chosen.tls}",
                "ours": round(found["p50_ms_beside"], 3),
                "peer": round(found["p50_ms_alone"], 3),
                "unit": f"ms, p50 of a request beside {chosen.connections} idle connections and without",
                "ratio": round(found["p50_ms_beside"] / found["p50_ms_alone"], 2),
                "kib_a_connection": round(found["kib_each"], 1),
                "goal": GOAL_KIB,
                "ok": ok,
            }
        )
    )


if __name__ == "__main__":
    main()
