"""What does a wrapper cost a function? What it adds to init, to an invocation and to memory, ours and the peers'.

Each subject is a real `python -m awslambdaric` process that imports boto3, on a Lambda Runtime API of ours: bare,
with our exec wrapper, with it and the OpenTelemetry SDK joined, and with the peers: OpenTelemetry's Lambda layer set-up
(opentelemetry-instrument, its aws-lambda and botocore instrumentations, OTLP/HTTP, traces alone), the same
instrumentor in code, powertools (Logger, Tracer, Metrics: to a daemon's UDP port and the log) and datadog-lambda (to
the log). Peers come from PyPI into throw-away environments.

A process is frozen (SIGSTOP) after each invocation and thawed 2 ms later for the next event, as on Lambda: its caches
are cold, and whatever it left for later waits. An invocation's time is seen from the Runtime API: from the event to the
answer's first byte, for which a caller waits, and to the request for the next event, which is billed; what a wrapper
adds is its difference to bare, turn by turn. The collector is a stand-in in a process of its own that reads a request
and answers 200. Subjects take turns, so that a busy machine is busy for all; CPU is the process's own: waiting for the
machine does not count.

    python benchmarks/wrapper.py [--rounds N] [--environments FOLDER: kept for the next run]
"""

import argparse
import compileall
import json
import math
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import faasight
from _near_collector import near_collector, refusing, unreachable
from _sandbox import Sandbox, SandboxError, Took, sandbox
from _share import SMALL, share
from _wrapped import Subject, make_environments, python_of, subjects, with_collector

CALLS = 50  # warm invocations of a round
WARM_UP = 20
SMALL_STARTS, SMALL_CALLS = 2, 15  # at the CPU share of 128 MB a start takes some ten seconds
PEER_PATIENCE_S = 15.0  # for an invocation without a collector


def compile_ours() -> None:
    """Make our .pyc files, as pip made the peers': not everywhere may Python write them when it imports."""
    compileall.compile_dir(Path(faasight.__file__).parent, quiet=1)


def measure_init(everyone: list[Subject], port: int, starts: int) -> None:
    """Start each subject again and again, in turns; the first turn warms caches and is not counted."""
    for turn in range(starts + 1):
        for subject in everyone:
            with sandbox(with_collector(subject.command, port)) as started:
                if turn:
                    subject.init_cpu.append(started.init_cpu_ms)
                    subject.init_wall.append(started.init_wall_ms)


def measure_calls(everyone: list[Subject], port: int, rounds: int) -> None:
    """Invoke warm sandboxes in rounds, in turns; then look at their memory."""
    with ExitStack() as stack:
        running = [
            (subject, stack.enter_context(sandbox(with_collector(subject.command, port)))) for subject in everyone
        ]
        for _, warm in running:
            _calls(warm, WARM_UP)
        for _ in range(rounds):
            for subject, warm in running:
                before = warm.cpu_ms()
                took = _calls(warm, CALLS)
                subject.answer += [one.answer for one in took]
                subject.whole += [one.whole for one in took]
                subject.call_cpu.append((warm.cpu_ms() - before) / CALLS)
        for subject, warm in running:
            resident, proportional = warm.memory_kib()
            subject.rss.append(resident)
            subject.pss.append(proportional)


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
    """Start and invoke at the CPU share of 128 MB; nothing is measured where no control group can be made."""
    with share(SMALL) as prefix:
        if prefix is None:
            return
        for _ in range(SMALL_STARTS):
            for subject in everyone:
                with sandbox(with_collector(subject.command, port), prefix, patience=180) as slow:
                    subject.small_init.append(slow.init_wall_ms)
                    subject.small_answer += [took.answer for took in _calls(slow, SMALL_CALLS)[1:]]


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
    parser.add_argument("--rounds", type=int, default=10, help="cold starts, and rounds of 50 warm invocations (10)")
    parser.add_argument("--environments", type=Path, help="where the environments are made, and kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, near_collector() as port:
        environments = options.environments or Path(folder) / "environments"
        make_environments(environments)
        compile_ours()
        everyone = subjects(Path(folder), environments)
        measure_init(everyone, port, options.rounds)
        measure_calls(everyone, port, options.rounds)
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


def added(one: Subject, bare: Subject, name: str) -> float:
    """Return what a subject adds to a measure of bare, turn by turn, the median of them; of bare itself its median.

    A turn's two measures were taken one after the other: what else the machine did then weighs on both.
    """
    own, base = getattr(one, name), getattr(bare, name)
    if one is bare:
        return median(own)
    turn = CALLS if len(own) > CALLS else 1
    pairs = [(median(own[i : i + turn]), median(base[i : i + turn])) for i in range(0, len(own), turn)]
    return median([mine - its for mine, its in pairs])


def added_least(one: Subject, bare: Subject, name: str) -> float:
    """Return by how much a subject's least measure is above bare's: without what neighbours on a core add."""
    return min(getattr(one, name)) - (0 if one is bare else min(getattr(bare, name)))


def added_tail(one: Subject, bare: Subject, name: str) -> float:
    """Return how far a subject's 99th percentile is above bare's median: no less than what it adds; of bare its own."""
    return p99(getattr(one, name)) - (0 if one is bare else median(getattr(bare, name)))


def print_tables(everyone: list[Subject], lines: dict[str, float]) -> None:
    """Print what was measured: of bare in absolute figures, of each other what it adds to them."""
    bare = everyone[0]
    print("(added to bare)         init CPU, ms | answer, us      | whole, us       |   us  | memory, MiB | at 128 MB")
    print(
        "                        least median |   p50     p99   |   p50     p99   |  CPU  |   RSS   PSS | init, ms us"
    )
    for s in everyone:
        init = f"{added_least(s, bare, 'init_cpu'):8.1f}{added(s, bare, 'init_cpu'):7.1f}"
        walls = [
            f"{added(s, bare, name) * 1e3:8.0f}{added_tail(s, bare, name) * 1e3:8.0f}" for name in ("answer", "whole")
        ]
        cpu = added(s, bare, "call_cpu") * 1e3
        memory = f"{added(s, bare, 'rss') / 1024:6.1f}{added(s, bare, 'pss') / 1024:6.1f}"
        small = [added(s, bare, name) for name in ("small_init", "small_answer")]
        slow = f"{small[0]:9.0f}{small[1] * 1e3:7.0f}" if s.small_init else "        -      -"
        print(f"{s.name:22}{init:>16} |{walls[0]:>17} |{walls[1]:>17} |{cpu:6.0f} |{memory:>12} |{slow}")
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
    _result("wrapper_added_memory", "MiB", *(added(s, bare, "rss") / 1024 for s in (ours, layer)), at_most=10)
    for way in ("refused", "unreachable"):
        base = median([took.whole for took in bare.dead[way]])
        first, *rest = (took.whole - base for took in ours.dead[way])
        _result(
            f"wrapper_first_call_{way}", "ms", first, layer.dead[way][0].whole, at_most=250
        )  # 0.2 s and a first call
        _result(f"wrapper_later_calls_{way}", "ms", median(rest), layer.dead[way][-1].whole, at_most=0.5)
    for s, goal in ((joined, 35.0), (ours, 10.0)):
        figures = (added_least(one, bare, "init_cpu") for one in (s, layer))
        _result(f"wrapper_added_init_{'with_sdk' if s is joined else 'lean'}", "ms", *figures, at_most=goal)
    if ours.small_init:
        figures = (added(one, bare, "small_init") for one in (ours, layer))
        _result("wrapper_added_init_at_128_mb", "ms", *figures, ratio_at_most=0.1)
    figures = (added_least(one, bare, "init_cpu") for one in (ours, layer))
    _result("wrapper_added_init_ratio", "ms", *figures, ratio_at_most=0.1)
    for name, statistic, goal in (("p99", added_tail, 1000), ("p50", added, 100)):
        for of in ("whole", "answer"):
            figures = (statistic(one, bare, of) * 1e3 for one in (ours, layer))
            _result(f"wrapper_added_{of}_{name}", "us", *figures, at_most=goal)


def _result(name: str, unit: str, ours: float, peer: float, *, at_most: float = 0, ratio_at_most: float = 0) -> None:
    ratio = ours / peer if peer else 0.0
    ok = 0 < ours <= at_most if at_most else 0 < ratio <= ratio_at_most  # less than nothing: too busy to tell
    figures = {"name": name, "ours": round(ours, 2), "peer": round(peer, 2), "unit": unit, "ratio": round(ratio, 3)}
    print(json.dumps({**figures, "goal": at_most or ratio_at_most, "ok": ok}))


if __name__ == "__main__":
    main()
