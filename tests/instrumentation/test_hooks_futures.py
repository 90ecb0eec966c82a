"""What a function hands to a pool of threads belongs to its invocation, and is what it would be without us."""

import asyncio
import concurrent.futures.thread
import contextvars
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faasight
import pytest
from faasight.context import current
from faasight.hooks import futures as hook


@pytest.fixture(autouse=True)
def _patched(agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ThreadPoolExecutor, "submit", ThreadPoolExecutor.submit)
    hook.install(concurrent.futures.thread, agent)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as made:
        yield made


def test_work_belongs_to_the_span_that_handed_it_over(pool: ThreadPoolExecutor, sink: Any) -> None:
    def fetch(n: int) -> int:
        with faasight.span(f"fetch {n}"):
            return n * n

    @faasight.observe
    def handler(event: Any, context: Any) -> list[int]:
        with faasight.span("all"):
            return list(pool.map(fetch, range(20)))

    assert handler({}, None) == [n * n for n in range(20)]
    (invocation,) = sink.wait()
    around = sink.named("all")
    steps = [span for span in sink.spans() if span.name.startswith("fetch")]
    assert sorted(span.name for span in steps) == sorted(f"fetch {n}" for n in range(20))
    assert {(span.trace_id, span.parent_id) for span in steps} == {(invocation.trace_id, around.span_id)}


def test_threads_serve_one_invocation_after_the_other_and_none_in_between(pool: ThreadPoolExecutor, sink: Any) -> None:
    handler = faasight.observe(lambda _event, _context: pool.submit(faasight.current_span).result().span_id)
    ids = [handler({}, None) for _ in range(10)]
    assert ids == [span.span_id for span in sink.wait(10)]
    assert [pool.submit(faasight.current_span).result() for _ in range(6)] == [None] * 6


def test_work_within_work_is_carried_on(pool: ThreadPoolExecutor, sink: Any) -> None:
    """As boto3's transfers do: one task hands over the next."""

    @faasight.observe
    def handler(event: Any, context: Any) -> Any:
        return pool.submit(lambda: pool.submit(faasight.current_span).result()).result().span_id

    assert [handler({}, None)] == [span.span_id for span in sink.wait()]


def test_an_event_loops_own_pool(sink: Any) -> None:
    @faasight.observe
    async def handler(event: Any, context: Any) -> Any:
        span = await asyncio.get_running_loop().run_in_executor(None, faasight.current_span)
        assert span is not None
        return span.span_id

    assert [asyncio.run(handler({}, None))] == [span.span_id for span in sink.wait()]


def test_all_else_is_as_without_us(pool: ThreadPoolExecutor, sink: Any) -> None:
    """Arguments of any name, results, the very exception, variables of the user's, and what is wrong."""
    own: contextvars.ContextVar[str] = contextvars.ContextVar("own", default="not seen")
    wrong = KeyError("wrong")

    def fails() -> None:
        raise wrong

    def named(**given: Any) -> dict[str, Any]:
        return given

    @faasight.observe
    def handler(event: Any, context: Any) -> None:
        own.set("the handler's")
        assert pool.submit(own.get).result() == "not seen"
        assert pool.submit(named, fn=1, self=2, span=3).result() == {"fn": 1, "self": 2, "span": 3}
        with pytest.raises(KeyError) as caught:
            pool.submit(fails).result()
        assert caught.value is wrong
        with pytest.raises(TypeError):
            pool.submit()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="not callable"):
            pool.submit(7).result()  # type: ignore[arg-type]

    handler({}, None)
    assert sink.wait()[0].attributes["faasight.outcome"] == "ok"
    assert current.get() is None


def test_outside_an_invocation_a_pool_is_left_alone(pool: ThreadPoolExecutor) -> None:
    seen = []

    class Work:
        """What a pool calls."""

        def __call__(self) -> None:
            """Be called."""
            seen.append(faasight.current_span())

    pool.submit(Work()).result()
    assert seen == [None]


def test_in_a_real_function_logs_of_a_pool_know_their_request(function: Any, sink: Any) -> None:
    code = (
        "import logging\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(2)\n"
        "def handler(event, context):\n"
        "    pool.submit(logging.warning, 'from the pool').result()\n"
        "    return context.aws_request_id\n"
    )
    sandbox = function(code)
    asked = [sandbox.invoke().body for _ in range(2)]
    assert [line["request_id"] for line in sandbox.lines()] == asked
