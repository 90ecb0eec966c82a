"""Never harm: whatever event and context are, the handler is called with them, and its result or exception returns."""

import copy
import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import faasight
import pytest
from faasight.complain import complaints

from .test_triggers import EVENTS

ENDLESS: dict[str, Any] = {}
ENDLESS["self"] = [ENDLESS]
DEEP: Any = []
for _ in range(20_000):
    DEEP = [DEEP]
# What JSON and its readers can make.
PLAIN = [
    None, True, -1, 10**400, 1e308, float("nan"), float("-inf"), "", "\ud800", "\0", "x" * 100_000, "{", "[[[", b"\xff",
    [], {}, [None], [[]], [{}], {"": None}, {1: 2}, {"a": {}}, (), set(), ENDLESS, DEEP, "9" * 5_000, "1e999",
]  # fmt: skip


class BadDict(dict[Any, Any]):
    """A dict that breaks whoever looks into it."""

    def get(self, *_: Any) -> Any:
        """Fail."""
        raise RuntimeError

    items = keys = values = __getitem__ = __iter__ = __contains__ = get  # type: ignore[assignment]


class BadText(str):
    """A str that breaks whoever works with it."""

    __slots__ = ()

    def lower(self) -> str:
        """Fail."""
        raise MemoryError

    partition = split = startswith = encode = strip = __str__ = __repr__ = lower  # type: ignore[assignment]
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise RecursionError


class BadObject:
    """An object of which nothing can be asked."""

    def __getattribute__(self, name: str) -> Any:
        raise OSError(name)

    def __bool__(self) -> bool:
        raise ValueError

    __len__ = __int__ = __str__ = __repr__ = __bool__  # type: ignore[assignment]


class Greedy:
    """A mock: it has everything, and all of it is callable."""

    def __getattr__(self, name: str) -> Any:
        return Greedy()

    def __call__(self, *_: Any) -> Any:
        """Return another one."""
        return self


BAD = [BadDict(a=1), BadText("x"), BadObject(), Greedy(), iter(()), object, lambda: None]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value within an event."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, (*path, i))


def spoiled(event: Any, path: tuple[Any, ...], bad: Any) -> Any:
    """Return the event with one value replaced."""
    if not path:
        return bad
    event = copy.deepcopy(event)
    inner = event
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = bad
    return event


@pytest.fixture
def quiet(new_agent: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an agent that encodes, and has nobody to send to."""
    return new_agent(FAASIGHT_ENDPOINT="http://127.0.0.1:9", FAASIGHT_FALLBACK="off", FAASIGHT_COOLDOWN="3600")


class OwnError(Exception):
    """The function's own."""


def call(event: Any, context: Any) -> bool:
    """Call a handler both ways; return whether it was observed."""
    result, error, seen = object(), OwnError(), []

    @faasight.observe
    def returning(event: Any, context: Any) -> Any:
        seen.append((event, context, faasight.current_span() is not None))
        return result

    @faasight.observe
    def raising(event: Any, context: Any) -> Any:
        seen.append((event, context, faasight.current_span() is not None))
        raise error

    assert returning(event, context) is result
    with pytest.raises(OwnError) as raised:
        raising(event, context)
    assert raised.value is error
    assert len(seen) == 2
    assert all(one[0] is event and one[1] is context for one in seen)
    assert faasight.current_span() is None
    return all(one[2] for one in seen)


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_with_each_value_spoiled(quiet: Any, name: str) -> None:
    """What JSON can hold costs no span: under `strict` any failure of ours is raised."""
    event = EVENTS[name][0]
    dice = random.Random(name)
    for path in places(event):
        for bad in dice.sample(PLAIN, 6):
            assert call(spoiled(event, path, bad), None), (path, bad)


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_with_objects_that_bite(quiet: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(complaints, "strict", False)
    event = EVENTS[name][0]
    dice = random.Random(name)
    for path in places(event):
        bad = dice.choice(BAD)
        call(spoiled(event, path, bad), None)


@pytest.mark.parametrize(
    "attribute", ["aws_request_id", "invoked_function_arn", "client_context", "get_remaining_time_in_millis"]
)
def test_each_context_with_each_value_spoiled(quiet: Any, monkeypatch: pytest.MonkeyPatch, attribute: str) -> None:
    good = {"aws_request_id": "1", "invoked_function_arn": "arn:aws:lambda:r:42:function:f"}
    for bad in PLAIN:
        assert call({}, SimpleNamespace(**good | {attribute: bad})), bad
        assert call({}, SimpleNamespace(**good | {attribute: lambda bad=bad: bad})), bad

    monkeypatch.setattr(complaints, "strict", False)
    for bad in BAD:
        call({}, SimpleNamespace(**good | {attribute: bad}))
        call({}, bad)


@pytest.mark.parametrize(
    "bad",
    [None, 1, "x", {}, [], {"custom": 1}, SimpleNamespace(custom=[1]), SimpleNamespace(custom={"traceparent": 1})],
)
def test_client_contexts(quiet: Any, bad: Any) -> None:
    assert call({}, SimpleNamespace(client_context=bad))


def test_each_result_comes_back(quiet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complaints, "strict", False)
    for result in [*PLAIN, *BAD]:
        for returned in (result, {"statusCode": result, "batchItemFailures": result}):

            @faasight.observe
            def handler(event: Any, context: Any, returned: Any = returned) -> Any:
                return returned

            given = handler(EVENTS["http api"][0], None)
            assert given is returned
            assert faasight.current_span() is None


@pytest.mark.parametrize(
    "harm",
    [
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; [sys.modules.pop(m) for m in list(sys.modules) if m.startswith('faasight')]; import faasight",
        "import importlib as i, faasight.witness as w, faasight.agent as a; i.reload(w); i.reload(a); a.get()",
        "import sys; sys.setrecursionlimit(80)",
        "import gc; gc.disable(); gc.freeze()",
        "import os; os.environ.clear()",
        "import os; os.chdir('/'); os.umask(0o777)",
    ],
    ids=["closed", "none", "loaded again", "reloaded", "recursion", "gc", "environment", "umask"],
)
def test_what_a_function_does_to_its_process(function: Any, sink: Any, harm: str) -> None:
    """In the handler, under the real runtime client: this invocation and the next come back, and are told of."""
    sandbox = function(f"def handler(event, context):\n    {harm}\n    return 'done'\n")
    assert [sandbox.invoke().body for _ in range(2)] == ["done", "done"], sandbox.output()
    assert sink.wait(1)
