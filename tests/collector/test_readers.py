"""Reading places of the gRPC door: bounded, given up by who is slow, and nothing held of what was refused."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from faasight_collector import Collector
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.errors import Refusal
from faasight_collector.intake import Intake
from faasight_collector.journal import Journal
from faasight_collector.receive import readers
from faasight_collector.receive.readers import Readers
from faasight_collector.settings import Settings
from faasight_collector.stats import Stats

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MakeTraces = Callable[..., bytes]


def test_so_many_at_once_and_all_come_to_their_turn() -> None:
    async def run() -> int:
        places, now, most = Readers(3, longest_s=30), 0, 0

        async def message() -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

        await asyncio.gather(*(places.read(message) for _ in range(50)))
        return most

    assert asyncio.run(run()) == 3


def test_who_reads_for_long_gives_way_to_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_SETTLED_S", 0.05)

    async def run() -> tuple[object, ...]:
        places, never = Readers(2, longest_s=30), asyncio.get_running_loop().create_future

        async def at_once() -> str:
            return "served"

        slow = [asyncio.ensure_future(places.read(never)) for _ in range(2)]
        await asyncio.sleep(0)
        served = await places.read(at_once)
        ended, _ = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        (one,) = ended
        for task in slow:
            task.cancel()
        return served, one.exception()

    served, refusal = asyncio.run(run())
    assert served == "served"
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.retry_after_s) == (14, 1)


def test_who_waits_for_long_is_told_to_come_again_and_takes_no_place_along() -> None:
    async def run() -> object:
        places, hold = Readers(1, longest_s=30, patience_s=0.01), asyncio.get_running_loop().create_future()
        first = asyncio.ensure_future(places.read(lambda: hold))
        await asyncio.sleep(0)
        (told,) = await asyncio.gather(places.read(lambda: hold), return_exceptions=True)
        hold.set_result("whole")
        assert [await first, await places.read(lambda: asyncio.sleep(0, "served"))] == ["whole", "served"]
        return told

    told = asyncio.run(run())
    assert isinstance(told, Refusal)
    assert (told.reason, told.code, told.retry_after_s) == ("busy", 14, 1)


def test_who_goes_in_the_moment_in_which_a_place_is_free_breaks_nothing() -> None:
    async def run() -> object:
        places, hold = Readers(1, longest_s=30), asyncio.get_running_loop().create_future()
        first = asyncio.ensure_future(places.read(lambda: hold, lambda _: True))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(places.read(lambda: hold))
        await asyncio.sleep(0)
        hold.set_result("whole")
        await first
        second.cancel()
        places.let_go()  # before the one that was cancelled has run
        (gone,) = await asyncio.gather(second, return_exceptions=True)
        assert await places.read(lambda: asyncio.sleep(0, "served")) == "served"
        return gone

    assert isinstance(asyncio.run(run()), asyncio.CancelledError)


def test_large_messages_keep_their_places_until_they_are_safe(
    collector: Collector, make_traces: MakeTraces, eventually: Callable[[object], None]
) -> None:
    """However many come at once, a bounded number is in memory, also of those whose callers have gone."""
    journal, waiting = collector.journal, list[Callable[[], None]]()
    append = journal.append

    def stalled(*what: Any) -> None:
        waiting.append(lambda: append(*what))

    def ended(call: Any) -> bool:
        while waiting:
            waiting.pop(0)()
        return bool(call.done())

    with grpc.insecure_channel(collector.grpc_address) as channel, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "append", stalled)  # a disk that takes its time
        export, body = channel.unary_unary(EXPORT), make_traces(8_000)
        calls = [export.future(body, timeout=180) for _ in range(20)]
        eventually(lambda: len(waiting) == 6)
        for call in calls[:10]:
            call.cancel()
        for served in range(6):
            eventually(lambda: waiting)
            assert len(waiting) <= 6, served
            waiting.pop(0)()
        for call in calls[10:]:
            eventually(lambda call=call: ended(call))
            while call.code() is grpc.StatusCode.UNAVAILABLE:  # told to come again
                call = export.future(body, timeout=180)
                eventually(lambda call=call: ended(call))
            assert call.result() == b""


def test_small_messages_pass_while_more_large_ones_than_there_are_places_wait_for_the_disk(
    collector: Collector, make_traces: MakeTraces, eventually: Callable[[object], None]
) -> None:
    journal, waiting = collector.journal, list[Callable[[], None]]()
    append = journal.append

    def slow_with_large_ones(signal: str, payload: bytes, *more: Any) -> None:
        if len(payload) > 100_000:
            waiting.append(lambda: append(signal, payload, *more))
        else:
            append(signal, payload, *more)

    with (
        grpc.insecure_channel(collector.grpc_address) as bulk,
        grpc.insecure_channel(collector.grpc_address) as channel,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(journal, "append", slow_with_large_ones)
        large = [bulk.unary_unary(EXPORT).future(make_traces(8_000), timeout=180) for _ in range(12)]
        eventually(lambda: len(waiting) == 6)

        def passes() -> bool:
            try:
                return bool(channel.unary_unary(EXPORT)(make_traces(), timeout=180) == b"")
            except grpc.RpcError as error:  # a machine so slow that it waited for 8 s
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                return False

        for _ in range(5):
            eventually(passes)
        assert len(waiting) == 6
        while waiting:
            waiting.pop()()
        for call in large:
            call.cancel()


def test_who_goes_while_it_waits_takes_no_place_along() -> None:
    async def run() -> str:
        places, hold = Readers(1, longest_s=30), asyncio.get_running_loop().create_future()
        first = asyncio.ensure_future(places.read(lambda: hold))
        await asyncio.sleep(0)
        waiting = [asyncio.ensure_future(places.read(lambda: asyncio.sleep(0))) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        hold.set_result(None)
        await asyncio.gather(first, *waiting, return_exceptions=True)

        async def at_once() -> str:
            return "served"

        return await asyncio.wait_for(places.read(at_once), 180)

    assert asyncio.run(run()) == "served"


def test_a_message_that_does_not_come_is_given_up() -> None:
    async def run() -> None:
        await Readers(1, longest_s=0.01).read(asyncio.get_running_loop().create_future)

    with pytest.raises(Refusal, match="did not come in time"):
        asyncio.run(run())


def test_calls_without_a_message_hold_up_nobody(collector: Collector, make_traces: MakeTraces) -> None:
    """Three times as many as there are places, each open and silent; whole calls are answered meanwhile."""
    release = threading.Event()

    def silent() -> Iterator[bytes]:
        release.wait(180)
        yield from ()

    with grpc.insecure_channel(collector.grpc_address) as idle, grpc.insecure_channel(collector.grpc_address) as busy:
        waiting = [idle.stream_unary(EXPORT).future(silent(), timeout=180) for _ in range(24)]
        try:
            for _ in range(5):
                assert busy.unary_unary(EXPORT)(make_traces(), timeout=180) == b""
        finally:
            release.set()
        codes = {call.code() for call in waiting}
        assert codes <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE}


def test_nothing_is_held_of_what_was_refused(settings: Settings) -> None:
    """A refusal that remembers where it was raised would keep its payload in a circle, until a collection comes."""
    full = replace(settings, journal_budget_bytes=10)
    intake = Intake(Journal(full), Stats(), DeadLetters(full.journal_dir / "dead-letters", time.time))
    payload, refusals = bytes(1000), list[Refusal | None]()
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(payload)
        for _ in range(3):
            intake.accept("traces", payload, refusals.append)
        assert [refusal.reason for refusal in refusals if refusal] == ["journal_full"] * 3
        assert sys.getrefcount(payload) == before
    finally:
        gc.enable()
