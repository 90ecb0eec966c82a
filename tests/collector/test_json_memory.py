"""JSON of 20 MiB, honest or hostile, takes memory of its own size and not of its objects'."""

import json
import subprocess
import sys

import pytest

MIB = 1024 * 1024
# What a conversion adds to the process, measured in a process of its own: (MiB, outcome).
SCRIPT = """
import json, sys
from faasight_collector import admit
from faasight_collector.errors import Refusal

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024

body = eval(sys.argv[1])
before = peak()
try:
    outcome = len(admit.json("traces", body))
except Refusal as refusal:
    outcome = refusal.http
print(json.dumps([peak() - before, outcome]))
"""
SPAN = json.dumps(
    {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "GET /x",
        "attributes": [{"key": f"a{n}", "value": {"stringValue": "some value"}} for n in range(8)],
    }
)
SIZE = 20 * MIB
SPANS = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'


def spans(element: str) -> str:
    """Return an expression for a body full of one span."""
    start, end = SPANS.split("%s")
    times = (SIZE - 100) // (len(element) + 1)
    return f"{start!r}.encode() + b','.join([{element!r}.encode()] * {times}) + {end!r}.encode()"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize(
    ("body", "added", "outcome"),
    [
        (spans(SPAN), 60, "taken"),
        (spans('{"name":"aaaa"}'), 110, "taken"),
        (spans("{}"), 40, "413"),
        ("b'{\"resourceSpans\":[' + b'0,' * 10_000_000 + b'0]}'", 40, "400"),
        ("b'{\"x\":[' + b'[],' * 6_000_000 + b'0]}'", 40, "413"),
    ],
    ids=["spans", "tiny spans", "empty spans", "numbers", "arrays"],
)
def test_a_body_takes_a_bounded_memory(body: str, added: int, outcome: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, body], capture_output=True, text=True, timeout=180, check=True)
    used, found = json.loads(done.stdout)
    assert (str(found) if found in {400, 413} else "taken") == outcome
    assert used <= added, f"{used} MiB for a body of 20"
