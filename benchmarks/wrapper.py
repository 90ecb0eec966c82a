"""What does a wrapper cost a function? What it adds to init, to an invocation and to memory, ours and the peers'.

Each subject is a real `python -m awslambdaric` process that imports boto3, on a Lambda Runtime API of ours: bare,
with our exec wrapper, with it and the OpenTelemetry SDK joined, and with the peers: OpenTelemetry's Lambda layer set-up
(opentelemetry-instrument, its aws-lambda and botocore instrumentations, OTLP/HTTP, traces alone), the same
instrumentor in code, powertools (Logger, Tracer, Metrics: to a daemon's UDP port and the log) and datadog-lambda (to
the log). Peers come from PyPI into throw-away environments.

A process is frozen (SIGSTOP) after each invocation and thawed 2 ms later for the next event, as on Lambda: its caches
are cold, and whatever it left for later waits. An invocation's time is seen from the Runtime API: from the event to the
answer's first byte, for which a caller waits, and to the request for the next event, which is billed. The collector is
a stand-in in a process of its own that reads a request and answers 200.

What a wrapper adds is measured in pairs: each start and each call of a subject beside one of bare. Told is the median
of the pairs' differences, and between what it lies with 95 % confidence (_pairs.py). Where there are two cores,
functions run on the one, the collector and who measures on the other. CPU is the process's own, its ended threads
included: waiting for the machine does not count.

    python benchmarks/wrapper.py [--rounds N] [--environments FOLDER: kept for the next run]
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from _near_collector import near_collector, refusing, unreachable
from _pairs import cores, quartiles, started_on
from _sandbox import Sandbox, SandboxError, Took, sandbox
from _share import SMALL, share
from _wrapped import Measure, Subject, make_environments, python_of, subjects, with_collector

WARM_UP = 20
SMALL_STARTS = 12  # pairs, at the CPU share of 128 MB: of two to six seconds each
PEER_PATIENCE_S = 15.0  # for an invocation without a collector


def measure_init(everyone: list[Subject], port: int, core: int | None) -> None:
    """Start each subject again and again, bare before each time; the first pair warms caches and is not counted."""
    bare = everyone[0]
    for subject in everyone[1:]:
        for turn in range(subject.starts + 1):
            cpu, wall = zip(
                *(_start(one, port, core) for one in (subject, bare)[:: 1 if turn % 2 else -1]), strict=True
            )
            own = 0 if turn % 2 else 1  # who comes first finds what the one before has left
            if turn:
                subject.init_cpu.add(cpu[own], cpu[1 - own])
                subject.init_wall.add(wall[own], wall[1 - own])


def _start(subject: Subject, port: int, core: int | None) -> tuple[float, float]:
    with started_on(core), sandbox(with_collector(subject.command, port)) as started:
        return started.init_cpu_ms, started.init_wall_ms


def measure_calls(everyone: list[Subject], port: int, calls: int, core: int | None) -> None:
    """Invoke warm sandboxes in turns, each and a bare one of its own, now the one first and now the other.

    One bare sandbox for all would be called six times as often as each of them, and be the warmer for it: by 20 to
    40 us. Then look at their memory.
    """
    bare, *others = everyone
    with ExitStack() as stack:

        def start(subject: Subject) -> Sandbox:
            with started_on(core):
                return stack.enter_context(sandbox(with_collector(subject.command, port)))

        pairs = [(subject, start(subject), start(bare)) for subject in others]
        for _, warm, twin in pairs:
            _calls(warm, WARM_UP)
            _calls(twin, WARM_UP)
        for turn in range(calls):
            for subject, warm, twin in pairs:
                if turn % 2:
                    own, base = warm.call(), twin.call()
                else:
                    base, own = twin.call(), warm.call()
                for measure, mine, its in zip(
                    (subject.answer, subject.whole, subject.call_cpu), own, base, strict=True
                ):
                    measure.add(mine, its)
        for subject, warm, twin in pairs:
            for measure, mine, its in zip(
                (subject.rss, subject.pss), warm.memory_kib(), twin.memory_kib(), strict=True
            ):
                measure.add(mine, its)


def _calls(warm: Sandbox, count: int) -> list[Took]:
    return [warm.call() for _ in range(count)]


def measure_without_collector(everyone: list[Subject]) -> None:
    """Invoke with nobody there: refused at once, or never answered."""
    for way, dead in (("refused", refusing), ("unreachable", unreachable)):
        for subject in everyone:
            if not subject.sends and subject.name != "bare":
                continue
            ours = subject.name.startswith(("bare", "faasight"))
            with dead() as port, sandbox(with_collector(subject.command, port)) as alone:
                subject.dead[way] = _patient_calls(alone, 30 if ours else 2)


def _patient_calls(alone: Sandbox, count: int) -> list[Took]:
    took: list[Took] = []
    for _ in range(count):
        try:
            took.append(alone.call(patience=PEER_PATIENCE_S))
        except SandboxError:
            return [*took, Took(PEER_PATIENCE_S * 1e3, PEER_PATIENCE_S * 1e3)]
    return took


def measure_small(everyone: list[Subject], port: int) -> None:
    """Start at the CPU share of 128 MB; nothing is measured where no control group can be made."""
    bare, *others = everyone
    with share(SMALL) as prefix:
        if prefix is None:
            return

        def start(subject: Subject) -> float:
            with sandbox(with_collector(subject.command, port), prefix, patience=180) as slow:
                return slow.init_wall_ms

        for turn in range(SMALL_STARTS):
            for subject in others:
                if turn % 2:
                    own, base = start(subject), start(bare)
                else:
                    base, own = start(bare), start(subject)
                subject.small_init.add(own, base)


LOG_TURNS = 6
PLAIN_LINE = "standard library, plain text"
LOG_LINE = """
import json, logging, os, sys, time
sys.stdout = open(os.devnull, "w")
{setup}
def measure(count):
    begun = time.process_time_ns()
    for i in range(count):
        logger.info("order %d accepted", i, extra={{"order": i, "items": 3}})
    return (time.process_time_ns() - begun) / count / 1e3
def handler(event, context):
    measure(2000)
    print("took", min(measure(500) for _ in range(20)), file=sys.stderr)
class Context:
    aws_request_id, function_name, memory_limit_in_mb = "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "f", 128
    function_version, invoked_function_arn = "$LATEST", "arn:aws:lambda:r:123456789012:function:f"
{run}
"""
OURS_LOGS = """
logger = logging.getLogger("shop"); logger.setLevel("INFO"); logger.propagate = False
logger.addHandler(logging.StreamHandler(sys.stdout))
import faasight; from faasight.logs import JsonFormatter
logger.handlers[0].setFormatter(JsonFormatter())
"""
STANDARD_LOGS = OURS_LOGS[: OURS_LOGS.index("import faasight")]
POWERTOOLS_LOGS = "from aws_lambda_powertools import Logger\nlogger = Logger(service='f')\n"


def measure_log_line(environments: Path) -> dict[str, float]:
    """Return us of CPU of one `logger.info` with two extra fields to /dev/null: the least, in turns, of 500 at once."""
    plans = (
        (PLAIN_LINE, "faasight", STANDARD_LOGS, "handler({}, Context)"),
        ("faasight", "faasight", OURS_LOGS, "faasight.observe(handler)({}, Context)"),
        ("powertools", "powertools", POWERTOOLS_LOGS, "logger.inject_lambda_context(handler)({}, Context)"),
    )
    took: dict[str, float] = {}
    for name, environment, setup, run in plans * LOG_TURNS:
        code = LOG_LINE.format(setup=setup, run=run)
        python = python_of(environments, environment)
        env = {"FAASIGHT_ENDPOINT": "http://127.0.0.1:9", "FAASIGHT_FALLBACK": "off", "AWS_LAMBDA_FUNCTION_NAME": "f"}
        done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, env=env)
        took[name] = min(took.get(name, math.inf), float(done.stderr.partition("took ")[2].split()[0]))
    return took


def main() -> None:
    """Measure, print the tables, then each goal as a line of JSON, the most important one last."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--starts", type=int, default=60, help="pairs of cold starts of ours; a third for OpenTelemetry's"
    )
    parser.add_argument("--calls", type=int, default=500, help="pairs of warm invocations (500)")
    parser.add_argument("--environments", type=Path, help="where the environments are made, and kept")
    options = parser.parse_args()
    mine, functions = cores() or (None, None)
    if mine is not None:
        os.sched_setaffinity(0, {mine})
    with tempfile.TemporaryDirectory() as folder, near_collector(polite=True) as port:
        environments = options.environments or Path(folder) / "environments"
        make_environments(environments)
        everyone = subjects(Path(folder), environments)
        for subject in everyone:
            subject.starts = options.starts if subject.name.startswith("faasight") else max(options.starts // 6, 2)
        everyone[3].starts = max(options.starts // 3, 2)
        measure_init(everyone, port, functions)
        measure_calls(everyone, port, options.calls, functions)
        with started_on(functions):
            measure_without_collector(everyone)
        measure_small(everyone[:4], port)
        lines = measure_log_line(environments)
    print_tables(everyone, lines)
    report(everyone, lines)


def median(values: list[float]) -> float:
    """Return the median; 0 of nothing."""
    return statistics.median(values) if values else 0.0


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


def tail(of: Measure) -> float:
    """Return how far a subject's 99th percentile is above bare's median: no less than what it adds."""
    return p99(of.own) - median(of.bare)


def print_tables(everyone: list[Subject], lines: dict[str, float]) -> None:
    """Print what was measured: of bare its own quartiles, of each other what it adds to bare."""
    ours = everyone[1]
    print("bare itself, 25, 50 and 75 %:")
    for title, measure, scale in (
        ("a start, ms of CPU", ours.init_cpu, 1), ("a start, ms", ours.init_wall, 1),
        ("to the answer, us", ours.answer, 1e3),
        ("billed, us", ours.whole, 1e3), ("a call, us of CPU", ours.call_cpu, 1e3),
    ):  # fmt: skip
        low, middle, high = (value * scale for value in quartiles(measure.bare))
        print(f"  {title:20} {low:8.1f} {middle:8.1f} {high:8.1f}   p99 {p99(measure.bare) * scale:8.1f}")
    for s in everyone[1:]:
        print(f"\n{s.name} adds (95 % confidence), from {s.starts} pairs of starts, {len(s.answer.own)} of calls:")
        print(f"  init                {s.init_cpu.added:.1f} ms of CPU, {s.init_wall.added:.1f} ms")
        for title, measure in (("to the answer", s.answer), ("billed", s.whole), ("CPU of a call", s.call_cpu)):
            many = measure.added
            low, middle, high = (f"{value * 1e3:.0f}" for value in (many.low, many.median, many.high))
            print(f"  {title:19} {middle} ({low} to {high}) us; p99 {tail(measure) * 1e3:.0f} above bare's median")
        print(f"  memory              {s.rss.added.median / 1024:.1f} MiB (RSS), {s.pss.added.median / 1024:.1f} (PSS)")
        if s.small_init.own:
            print(f"  init at 128 MB      {s.small_init.added:.0f} ms, from {len(s.small_init.own)} pairs")
    print("\nwithout a collector, ms          first: answer    whole   second   worst of the rest")
    for s in everyone:
        for way, took in s.dead.items():
            whole = [one.whole for one in took]
            second = f"{whole[1]:9.1f}" if whole[1:] else " " * 8 + "-"
            rest = f"{max(whole[2:]):12.1f}" if whole[2:] else " " * 11 + "-"
            print(f"{s.name:24}{way:13}{took[0].answer:9.1f}{whole[0]:9.1f}{second}{rest}")
    print("\na log line, us: " + "; ".join(f"{name} {us:.2f}" for name, us in lines.items()) + "\n")


def report(everyone: list[Subject], lines: dict[str, float]) -> None:
    """Print each goal as a line of JSON, the most important one last."""
    bare, ours, joined, layer = everyone[:4]
    json_lines = (lines[name] - lines[PLAIN_LINE] for name in ("faasight", "powertools"))
    _result("wrapper_added_log_line", "us", *json_lines, at_most=6)
    _result("wrapper_added_memory", "MiB", *(s.rss.added.median / 1024 for s in (ours, layer)), at_most=10)
    for way in ("refused", "unreachable"):
        base = median([took.whole for took in bare.dead[way]])
        first, *rest = (took.whole - base for took in ours.dead[way])
        _result(
            f"wrapper_first_call_{way}", "ms", first, layer.dead[way][0].whole, at_most=250
        )  # 0.2 s and a first call
        _result(f"wrapper_later_calls_{way}", "ms", median(rest), layer.dead[way][-1].whole, at_most=0.5)
    for s, goal in ((joined, 35.0), (ours, 10.0)):
        figures = (one.init_cpu.added.median for one in (s, layer))
        _result(f"wrapper_added_init_{'with_sdk' if s is joined else 'lean'}", "ms", *figures, at_most=goal)
    if ours.small_init.own:
        figures = (one.small_init.added.median for one in (ours, layer))
        _result("wrapper_added_init_at_128_mb", "ms", *figures, ratio_at_most=0.1)
    figures = (one.init_cpu.added.median for one in (ours, layer))
    _result("wrapper_added_init_ratio", "ms", *figures, ratio_at_most=0.1)
    for of in ("whole", "answer"):
        figures = (tail(getattr(one, of)) * 1e3 for one in (ours, layer))
        _result(f"wrapper_added_{of}_p99", "us", *figures, at_most=1000)
    for of in ("whole", "answer"):
        figures = (getattr(one, of).added.median * 1e3 for one in (ours, layer))
        _result(f"wrapper_added_{of}_p50", "us", *figures, at_most=100)


def _result(name: str, unit: str, ours: float, peer: float, *, at_most: float = 0, ratio_at_most: float = 0) -> None:
    ratio = ours / peer if peer else 0.0
    ok = 0 < ours <= at_most if at_most else 0 < ratio <= ratio_at_most  # less than nothing: too busy to tell
    figures = {"name": name, "ours": round(ours, 2), "peer": round(peer, 2), "unit": unit, "ratio": round(ratio, 3)}
    print(json.dumps({**figures, "goal": at_most or ratio_at_most, "ok": ok}))


if __name__ == "__main__":
    main()
