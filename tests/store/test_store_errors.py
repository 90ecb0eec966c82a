"""Errors are one group by type and stack, whatever the machine, the line or the message."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import otlp
import pytest
from faasight_store import Scope, Store, settle
from faasight_store.queries import invocations
from faasight_store.times import HOUR, from_ns

PYTHON = """Traceback (most recent call last):
  File "/opt/python/lib/python3.11/site-packages/faasight/invoke.py", line 40, in wrapped
    return handler(event, context)
  File "{root}/shop/orders.py", line {line}, in reserve
    raise ValueError("no (stock)")
    ^^^^^^^^^^^^
  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode
ValueError: no (stock)
"""
NODE = """TypeError: x is not a function
    at Object.handler (/var/task/index.js:10:15)
    at /var/task/lib/a.js:1:2
    at async foo (file:///var/task/index.mjs:3:1)
    at new Foo (/home/u/node_modules/@scope/pkg/dist/index.js:3:1)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"""
JAVA = """java.lang.IllegalStateException: bad
\tat com.shop.Handler.handle(Handler.java:17)
\tat com.shop.Handler.lambda$run$3(Handler.java:20)
\tat com.shop.Handler$$Lambda$14/0x000000080.run(Unknown Source)
\tat java.base/java.lang.Thread.run(Thread.java:829)
Caused by: java.io.IOException: x
\t... 17 more"""
DOTNET = """System.Exception: no
   at Shop.Handler.<Handle>d__5.MoveNext() in /src/Checkout/Handler.cs:line 17
   at Shop.Run(Order order, String[] c) in C:\\src\\Shop.cs:line 4
--- End of stack trace from previous location ---
   at System.Runtime.CompilerServices.TaskAwaiter.Throw(Task task)"""
GO = """goroutine 1 [running]:
runtime/debug.Stack(0xc000, 0x1)
\t/usr/local/go/src/runtime/debug/stack.go:24 +0x9f
main.handler({0x1, 0x2}, "x (y)")
\t/app/main.go:17 +0x1d
net/http.(*Server).Serve(0xc0)
\t/usr/local/go/src/net/http/server.go:3 +0x1"""
FRAMES = {
    PYTHON.format(root="/var/task", line=17): ("shop/orders.py reserve", "json/decoder.py raw_decode"),
    NODE: (
        "Object.handler (index.js)",
        "lib/a.js",
        "foo (index.mjs)",
        "new Foo (@scope/pkg/dist/index.js)",
        "process.processTicksAndRejections (node:internal/process/task_queues)",
    ),
    JAVA: (
        "com.shop.Handler.handle(Handler.java)",
        "com.shop.Handler.lambda$run$#(Handler.java)",
        "com.shop.Handler$$Lambda#(Unknown Source)",
        "java.base/java.lang.Thread.run(Thread.java)",
    ),
    DOTNET: (
        "Shop.Handler.<Handle>d__#.MoveNext() in Handler.cs",
        "Shop.Run(Order order, String[] c) in Shop.cs",
        "System.Runtime.CompilerServices.TaskAwaiter.Throw(Task task)",
    ),
    GO: ("runtime/debug.Stack stack.go", "main.handler main.go", "net/http.(*Server).Serve server.go"),
    "no stack at all": (),
    "": (),
}


def _failed(start_ns: int, stack: str, version: str = "7", message: str = "m", **more: str) -> otlp.Run:
    attributes = {"test.stack": stack, "test.version": version}
    return otlp.Run(start_ns, outcome="error", error_type="ValueError", message=message, attributes=attributes, **more)


def _land(store: Store, runs: list[otlp.Run], token: str = "t") -> None:
    requests = []
    for run in runs:
        request = run.traces()
        (resource_spans,) = request.resource_spans
        for attribute in resource_spans.resource.attributes:
            if attribute.key == "faas.version":
                attribute.value.string_value = str(run.attributes["test.version"])
        event = resource_spans.scope_spans[0].spans[0].events[0]
        event.attributes.extend(otlp.attributes({"exception.stacktrace": run.attributes["test.stack"]}))
        requests.append(request)
    store.land("traces", otlp.segment(*requests), token)


def _last_hour() -> Scope:
    now = datetime.now(UTC)
    return Scope(now - timedelta(hours=1), now)


def test_stacks_of_every_runtime_lose_paths_and_lines(store: Store) -> None:
    now = time.time_ns()
    runs = [_failed(now - 10**9, stack, function=f"f{i}") for i, stack in enumerate(FRAMES)]
    _land(store, runs)
    groups = {group.function: group.frames for group in invocations.errors(store, _last_hour())}
    assert [groups[f"f{i}"] for i in range(len(FRAMES))] == list(FRAMES.values())


def test_one_group_whatever_the_machine_line_and_message(store: Store) -> None:
    now = time.time_ns()
    ours = [
        _failed(now - 5 * 10**9, PYTHON.format(root="/var/task", line=17), "1", "no tea"),
        _failed(now - 4 * 10**9, PYTHON.format(root="/workspace", line=18), "2", "no milk at all"),
        _failed(now - 3 * 10**9, PYTHON.format(root="/var/task", line=17), "1", "no sugar"),
    ]
    other = _failed(now - 2 * 10**9, PYTHON.format(root="/var/task", line=17).replace("reserve", "release"), "2")
    bare = [_failed(now - 10**9, "", "2", f"order {i} is gone") for i in range(2)]
    _land(store, [*ours, other, *bare])
    groups = sorted(invocations.errors(store, _last_hour()), key=lambda group: -group.count)
    assert [(group.count, len(group.frames)) for group in groups] == [(3, 2), (2, 0), (1, 2)]
    first = groups[0]
    assert (first.message, first.trace_id) == ("no sugar", ours[2].trace_id.hex())
    assert [(seen.version, seen.count) for seen in first.versions] == [("1", 2), ("2", 1)]
    assert first.versions[0].first_seen == first.first_seen == from_ns(ours[0].start_ns)
    assert first.versions[0].last_seen == first.last_seen == from_ns(ours[2].start_ns)
    assert first.versions[1].first_seen == from_ns(ours[1].start_ns)


def test_settled_hours_group_alike_and_a_replay_adds_nothing(store: Store) -> None:
    hour = (time.time_ns() // HOUR - 3) * HOUR
    runs = [
        _failed(hour + i * 10**9, PYTHON.format(root="/var/task", line=i), str(i % 2), f"message {i}") for i in range(8)
    ]
    scope = Scope(from_ns(hour - HOUR), from_ns(hour + 2 * HOUR))
    _land(store, runs)
    before = invocations.errors(store, scope)
    assert [group.count for group in before] == [8]
    assert settle(store) > 0
    _land(store, runs)
    assert invocations.errors(store, scope) == before
    _land(store, [replace(runs[0], request_id="late", start_ns=hour + 20 * 10**9)], "late")
    assert [group.count for group in invocations.errors(store, scope)] == [9]


@pytest.mark.parametrize(
    "stack", ["\x00" * 50, "  at " * 5000, '  File "' * 5000, "\tat (((((\n" * 2000, "x.go:1\n\t" * 900]
)
def test_a_hostile_stack_costs_no_segment(store: Store, stack: str) -> None:
    _land(store, [_failed(time.time_ns() - 10**9, stack)])
    (group,) = invocations.errors(store, _last_hour())
    assert len(group.frames) <= 50
