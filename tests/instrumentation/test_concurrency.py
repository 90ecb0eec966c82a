"""Invocations at once in one process never mix: request ids, logs, metrics, child spans, errors; nor after a fork."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import faasight
import pytest
from polling import wait_until

# Each invocation n says n wherever it can: whatever arrives must agree with its request id.
CODE = """
import asyncio, concurrent.futures, contextvars, logging, os, random, sys, threading, time
import faasight
from faasight import agent
from faasight.logs import JsonFormatter

stream = logging.StreamHandler(sys.stdout)
stream.setFormatter(JsonFormatter())
logging.basicConfig(level=logging.INFO, handlers=[stream])
log = faasight.get_logger("shop")

class Context:
    def __init__(self, n):
        self.aws_request_id = f"r-{n}"
    def get_remaining_time_in_millis(self):
        return 60_000

def step(name, n):
    with faasight.span(name, n=n):
        log.info("in a step", n=n)
        logging.info("in a step", extra={"n": n})
        faasight.metric("orders", 1, n=n)

def end(n):
    faasight.current_span().set("n", n)
    faasight.metric("orders", 1, n=n)
    if n % 7 == 0:
        raise ValueError(f"failed {n}")
    return n

@faasight.observe
def handler(event, context):
    n = event["n"]
    step("one", n)
    time.sleep(random.random() / 50)
    inner = threading.Thread(target=contextvars.copy_context().run, args=(step, "two", n))
    inner.start()
    step("three", n)
    inner.join()
    return end(n)

@faasight.observe
async def handler_async(event, context):
    n = event["n"]
    async def child(name):
        await asyncio.sleep(random.random() / 50)
        step(name, n)
    await child("one")
    await asyncio.gather(child("two"), asyncio.to_thread(step, "three", n))
    return end(n)

def call(n):
    try:
        assert handler({"n": n}, Context(n)) == n
    except ValueError as error:
        assert str(error) == f"failed {n}"

async def call_async(n):
    try:
        assert await handler_async({"n": n}, Context(n)) == n
    except ValueError as error:
        assert str(error) == f"failed {n}"

def threads(numbers):
    gate = threading.Barrier(len(numbers))
    def one(n):
        gate.wait()
        call(n)
    running = [threading.Thread(target=one, args=(n,)) for n in numbers]
    [thread.start() for thread in running]
    [thread.join() for thread in running]

def pool(numbers):  # Azure's: threads that are used again
    with concurrent.futures.ThreadPoolExecutor(12) as workers:
        list(workers.map(call, numbers))

def tasks(numbers):
    async def main():
        await asyncio.gather(*map(call_async, numbers))
    asyncio.run(main())

def mixed(numbers):  # both in one loop
    async def main():
        half = len(numbers) // 2
        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(25) as workers:
            await asyncio.gather(*map(call_async, numbers[:half]),
                                 *(loop.run_in_executor(workers, call, n) for n in numbers[half:]))
    asyncio.run(main())

def forks(numbers):  # gunicorn's: the master has run some already
    call(numbers[0])
    children = []
    for k in range(3):
        child = os.fork()
        if not child:
            try:
                threads(numbers[1 + 16 * k : 17 + 16 * k])
                settle()
            finally:
                sys.stdout.flush()
                os._exit(0)
        children.append(child)
    threads(numbers[49:])
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)

def settle():
    for _ in range(200):  # a flush reads the answers to the one before
        faasight.flush(1.0)
        if not agent.get().delivery._unanswered and not agent.get().delivery._pending:
            break
        time.sleep(0.01)

globals()[sys.argv[1]](list(range(1, 51)))
settle()
"""


@pytest.mark.parametrize("way", ["threads", "pool", "tasks", "mixed", "forks"])
def test_50_at_once_never_mix(sink: Any, tmp_path: Path, way: str) -> None:
    file = tmp_path / "app.py"
    file.write_text(CODE)
    environment = {**os.environ, "FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_STRICT": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(file), way],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    roots = {span.attributes["faas.invocation_id"]: span for span in sink.wait(50)}
    assert roots.keys() == {f"r-{n}" for n in range(1, 51)}
    assert len(sink.invocations()) == 50
    assert len({span.trace_id for span in roots.values()}) == 50

    children = defaultdict(list)
    for span in sink.spans():
        if span.name in {"one", "two", "three"}:
            children[span.trace_id].append(span)
    ids: dict[str, int] = {}  # span id -> n
    for request_id, root in roots.items():
        n = int(request_id[2:])
        assert root.attributes["n"] == n
        failed = [f"failed {n}"] if n % 7 == 0 else []
        assert [event.attributes[1].value.string_value for event in root.raw.events] == failed
        own = children[root.trace_id]
        assert sorted(span.name for span in own) == ["one", "three", "two"]
        assert {(span.attributes["n"], span.parent_id) for span in own} == {(n, root.span_id)}
        ids |= dict.fromkeys([root.span_id, *(span.span_id for span in own)], n)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 50 * 3 * 2
    for line in lines:
        assert (line["request_id"], ids[line["span_id"]]) == (f"r-{line['n']}", line["n"])
        assert line["trace_id"] == roots[line["request_id"]].trace_id
    counted: Counter[int] = Counter()
    for metric in sink.metrics():
        for point in metric.sum.data_points:
            counted[point.attributes[0].value.int_value] += point.as_int or int(point.as_double)
    assert counted == dict.fromkeys(range(1, 51), 4)


def test_streams_read_in_turns_keep_to_themselves(agent: Any, sink: Any) -> None:
    @faasight.observe
    def stream(event: int, _context: object) -> Any:
        for i in range(5):
            with faasight.span("chunk", n=event, i=i):
                yield faasight.current_span().trace_id  # type: ignore[union-attr]  # there is one

    open_streams = {n: stream(n, None) for n in range(20)}
    traces: dict[int, set[str]] = defaultdict(set)
    for _ in range(5):
        for n, one in open_streams.items():
            traces[n].add(next(one))
            assert faasight.current_span() is None
    for one in open_streams.values():
        assert next(one, "end") == "end"
    sink.wait(20)
    assert {len(ids) for ids in traces.values()} == {1}
    found = Counter((span.trace_id, span.attributes["n"]) for span in sink.spans() if span.name == "chunk")
    assert found == {(ids.pop(), n): 5 for n, ids in traces.items()}


def test_managed_instances_run_workers_side_by_side(function: Any, sink: Any) -> None:
    """The real runtime client forks a worker for each call that may run at once."""
    code = (
        "import faasight, logging, os, time\nlogging.getLogger().setLevel('INFO')\n"
        "def handler(event, context):\n"
        "    with faasight.span('step', n=event['n']):\n        time.sleep(0.05)\n"
        "        logging.info('here', extra={'n': event['n'], 'own': context.aws_request_id})\n"
        "    return [event['n'], os.getpid()]\n"
    )
    sandbox = function(code, AWS_LAMBDA_MAX_CONCURRENCY="6", AWS_LAMBDA_INITIALIZATION_TYPE="lambda-managed-instances")
    sent = {sandbox.send({"n": n}): n for n in range(40)}
    answers = [sandbox.outcome() for _ in sent]
    assert {answer.kind for answer in answers} == {"response"}, sandbox.output()
    assert len({answer.body[1] for answer in answers}) == 6
    spans = sink.wait(40)
    assert {span.attributes["faas.invocation_id"] for span in spans} == sent.keys()
    assert {(span.attributes["faas.coldstart"], span.attributes["faasight.init_type"]) for span in spans} == {
        (False, "lambda-managed-instances")
    }
    traces = {span.trace_id: sent[span.attributes["faas.invocation_id"]] for span in spans}
    assert Counter(
        (span.trace_id, span.attributes["n"]) for span in sink.spans() if span.name == "step"
    ) == dict.fromkeys(traces.items(), 1)
    wait_until(lambda: len(sandbox.lines()) >= 40, "all lines are there")
    for line in sandbox.lines():
        assert (line["request_id"], traces[line["trace_id"]]) == (line["own"], line["n"])
