"""Handlers whose work goes on after they return: coroutines, generators; each is one invocation, to its real end."""

import asyncio
import gc
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import faasight
import pytest


def context(request_id: str = "r1") -> Any:
    return SimpleNamespace(aws_request_id=request_id)


def test_an_async_handler_stays_one_and_is_measured_to_its_end(agent: Any, sink: Any) -> None:
    @faasight.observe
    async def handler(event: Any, context: Any) -> Any:
        with faasight.span("waiting"):
            await asyncio.sleep(0.02)
        return {"statusCode": 500} if event["requestContext"] else None

    assert inspect.iscoroutinefunction(handler), "frameworks await only what says that it is to be awaited"
    event = {"requestContext": {"http": {"method": "GET", "path": "/"}, "routeKey": "GET /"}, "version": "2.0"}
    assert asyncio.run(handler(event, context())) == {"statusCode": 500}
    (root,) = sink.wait()
    child = sink.named("waiting")
    assert child.parent_id == root.span_id
    assert root.raw.start_time_unix_nano <= child.raw.start_time_unix_nano
    assert child.raw.end_time_unix_nano <= root.raw.end_time_unix_nano
    assert root.attributes["http.response.status_code"] == 500
    assert faasight.current_span() is None


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
def test_an_async_handlers_very_exception_comes_back(agent: Any, sink: Any, kind: type[BaseException]) -> None:
    raised = kind("as it is")

    @faasight.observe
    async def handler(event: Any, context: Any) -> None:
        await asyncio.sleep(0)
        raise raised

    async def caught() -> BaseException:
        try:
            await handler({}, context())
        except BaseException as error:  # noqa: BLE001 - the very one is asked for
            return error
        raise AssertionError("nothing came")

    assert asyncio.run(caught()) is raised
    (root,) = sink.wait()
    assert root.attributes["faasight.outcome"] == "error"


def test_fifty_tasks_of_one_loop_never_mix(agent: Any, sink: Any) -> None:
    """All are open at once, in one thread."""

    @faasight.observe
    async def handler(event: Any, context: Any) -> str:
        await together.wait()
        with faasight.span(f"child of {event['n']}"):
            await together.wait()
        return str(faasight.invocation.request_id_here())

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(handler({"n": n}, context(f"request {n}")) for n in range(50)))

    together = asyncio.Barrier(50)
    assert asyncio.run(all_of_them()) == [f"request {n}" for n in range(50)]
    agent.delivery.flush(10.0)
    roots = {span.attributes["faas.invocation_id"]: span for span in sink.wait(50)}
    for n in range(50):
        child, root = sink.named(f"child of {n}"), roots[f"request {n}"]
        assert (child.trace_id, child.parent_id) == (root.trace_id, root.span_id)


def test_a_plain_handler_that_returns_a_coroutine(agent: Any, sink: Any) -> None:
    async def work(event: Any) -> Any:
        with faasight.span("inside"):
            await asyncio.sleep(0)
        return event

    handler = faasight.observe(partial(lambda _, event, __: work(event), "a partial has no code of its own"))
    result = handler(7, context())
    assert inspect.iscoroutine(result)
    assert faasight.current_span() is None, "what runs next is no part of it"
    assert asyncio.run(result) == 7
    (root,) = sink.wait()
    assert sink.named("inside").parent_id == root.span_id


def test_a_stream_is_measured_to_its_last_piece(agent: Any, sink: Any) -> None:
    @faasight.observe
    def handler(event: Any, context: Any) -> Iterator[str]:
        with faasight.span("first"):
            pass
        yield "a"
        with faasight.span("second"):
            pass
        yield "b"

    pieces = handler({}, context())
    assert inspect.isgenerator(pieces)
    assert next(pieces) == "a"
    assert faasight.current_span() is None, "between two pieces nothing of the invocation runs"
    assert sink.requests == []
    assert list(pieces) == ["b"]
    (root,) = sink.wait()
    assert {sink.named(name).parent_id for name in ("first", "second")} == {root.span_id}
    assert root.attributes["faasight.outcome"] == "ok"


def test_what_is_sent_and_thrown_into_a_stream_goes_through(agent: Any, sink: Any) -> None:
    def plain(event: Any, _: Any) -> Iterator[Any]:
        got: Any = "nothing"
        while True:
            try:
                got = yield got
            except LookupError as error:
                got = f"caught {error}"
            if got == "end":
                return "the value of its end"

    def talk(pieces: Any) -> list[Any]:
        heard = [next(pieces), pieces.send("x"), pieces.send(None), pieces.throw(LookupError("y"))]
        with pytest.raises(StopIteration) as stop:
            pieces.send("end")
        return [*heard, stop.value.value]

    assert talk(faasight.observe(plain)({}, context())) == talk(plain({}, context()))
    assert len(sink.wait()) == 1


@pytest.mark.parametrize("how", ["raises", "is left", "is dropped", "is never run"])
def test_a_stream_that_does_not_come_to_its_end_is_reported_once(agent: Any, sink: Any, how: str) -> None:
    @faasight.observe
    def handler(event: Any, context: Any) -> Iterator[int]:
        yield 1
        raise ValueError("in the middle")

    pieces: Any = handler({}, context())
    if how == "raises":
        with pytest.raises(ValueError, match="in the middle"):
            list(pieces)
    elif how == "is left":
        next(pieces)
        pieces.close()
    elif how == "is dropped":
        next(pieces)
    del pieces
    gc.collect()
    (root,) = sink.wait()
    assert root.attributes["faasight.outcome"] == ("error" if how == "raises" else "ok")
    handler({}, context("r2"))
    gc.collect()
    assert len(sink.wait(2)) == 2


def test_a_stream_dropped_in_another_invocation_leaves_that_one_alone(agent: Any, sink: Any) -> None:
    """Garbage is collected at any moment."""
    kept: list[Any] = []

    @faasight.observe
    def stream(event: Any, context: Any) -> Iterator[int]:
        yield 1

    @faasight.observe
    def other(event: Any, context: Any) -> str:
        kept.clear()
        gc.collect()
        with faasight.span("after it"):
            pass
        return str(faasight.invocation.request_id_here())

    kept.append(stream({}, context("dropped")))
    assert other({}, context("other")) == "other"
    roots = {span.attributes["faas.invocation_id"]: span for span in sink.wait(2)}
    assert sink.named("after it").parent_id == roots["other"].span_id


def test_an_async_stream(agent: Any, sink: Any) -> None:
    @faasight.observe
    async def handler(event: Any, context: Any) -> AsyncIterator[int]:
        for n in range(3):
            with faasight.span(f"piece {n}"):
                await asyncio.sleep(0)
            yield n

    async def read(limit: int) -> list[int]:
        pieces: Any = handler({}, context())
        assert inspect.isasyncgen(pieces)
        got: list[int] = []
        async for piece in pieces:
            got.append(piece)
            if len(got) == limit:
                await pieces.aclose()
        return got

    assert asyncio.run(read(99)) == [0, 1, 2]
    (root,) = sink.wait()
    assert sink.named("piece 2").parent_id == root.span_id
    assert asyncio.run(read(2)) == [0, 1]
    assert len(sink.wait(2)) == 2


FORKS = """
import os, faasight

@faasight.observe
def handler(event, context):
    return os.fork()

child = handler({}, None)
if child:
    raise SystemExit(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_that_comes_back_through_the_handler_reports_nothing(sink: Any) -> None:
    settings = {"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_CONFIRM": "1", "FAASIGHT_FLUSH_TIMEOUT": "10"}
    subprocess.run([sys.executable, "-c", FORKS], env={**os.environ, **settings}, check=True, timeout=180)
    assert len(sink.wait()) == 1


def test_no_further_thread_may_start(agent: Any, sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the time-out is still seen."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("faasight.watchdog.start_new_thread", refuse)
    timed = SimpleNamespace(aws_request_id="r1", get_remaining_time_in_millis=lambda: 3000)
    assert faasight.observe(lambda event, _: event)(5, timed) == 5
    (root,) = sink.wait()
    assert root.attributes["faasight.timeout_ms"] == 3000
