"""Throttles: at a function's reservation, at the account's limit, and counted apart from invocations."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator, StartError, TooManyRequestsError
from polling import wait_until

Start = Callable[..., Emulator]


@contextmanager
def busy(emulator: Emulator, function: str, seconds: float = 0.8) -> Iterator[None]:
    """Keep one sandbox of a function busy."""
    began = emulator.counts()[function].invocations
    thread = threading.Thread(target=emulator.invoke, args=(function, {"seconds": seconds}))
    thread.start()
    wait_until(lambda: emulator.running(function) == 1, "the function is busy")
    yield
    thread.join()
    assert emulator.counts()[function].invocations == began + 1


def test_reserved_concurrency_throttles(one: Start, sink: Any) -> None:
    """Beyond its reservation a function is throttled: an error with AWS's reason, a platform event, no invocation."""
    emulator = one("sleep", "ReservedConcurrentExecutions: 1")
    with busy(emulator, "f"), pytest.raises(TooManyRequestsError) as caught:
        emulator.invoke("f", {"seconds": 0})
    assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert emulator.invoke("f", {"seconds": 0}).ok
    counts = emulator.counts()["f"]
    assert (counts.throttles, counts.invocations, counts.errors) == (1, 2, 0)
    record = sink.wait_for("f", "platform.throttle")[0]
    assert record == {"requestId": caught.value.request_id, "reason": caught.value.reason}


def test_account_limit_throttles_functions_without_reservation(start: Start) -> None:
    """The account's concurrency, less what is reserved, is shared by the others."""
    emulator = start(
        """
  Slow: {Type: AWS::Serverless::Function, Properties: {Handler: app.sleep}}
  Other: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}
  Safe: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo, ReservedConcurrentExecutions: 1}}
""",
        account_concurrency=2,
    )
    with busy(emulator, "slow"):
        with pytest.raises(TooManyRequestsError, match="ConcurrentInvocationLimitExceeded"):
            emulator.invoke("other", {})
        assert emulator.invoke("safe", 1).json() == 1
    assert emulator.invoke("other", 2).json() == 2


def test_reservation_of_zero_stops_a_function(one: Start) -> None:
    """ReservedConcurrentExecutions: 0 lets nothing run."""
    with pytest.raises(TooManyRequestsError):
        one("echo", "ReservedConcurrentExecutions: 0").invoke("f", {})


def test_reservations_beyond_the_account_are_refused(one: Start) -> None:
    """Functions that reserve all there is leave none for the others: said at the start."""
    with pytest.raises(StartError, match="reserve 5 of 5 concurrent executions"):
        one("echo", "ReservedConcurrentExecutions: 5", account_concurrency=5)


def test_who_waits_for_a_place_to_start_takes_a_sandbox_that_becomes_free(one: Start, tmp_path: Path) -> None:
    """A storm of requests does not start a process for each when the machine cannot bring them up."""
    emulator = one("echo", f"Environment: {{Variables: {{INITS: {tmp_path}}}}}", parallel_inits=1)
    with ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(emulator.invoke, "f", number) for number in range(8)]
        wait_until(lambda: emulator.running("f") == 8 and (tmp_path / "0-began").exists(), "all wait")
        (tmp_path / "0-may-end").touch()
        wait_until(lambda: sum(one.done() for one in answers) == 7, "one sandbox has served all but one")
        wait_until(lambda: (tmp_path / "1-began").exists(), "the second in the row starts one of its own")
        (tmp_path / "1-may-end").touch()
        assert sorted(one.result().json() for one in answers) == list(range(8))
    counts = emulator.counts()["f"]
    assert (counts.invocations, counts.cold_starts) == (8, 2)


def test_what_was_killed_begins_anew_in_its_turn(start: Start, tmp_path: Path) -> None:
    """The init of a sandbox that was reset waits for a place as well, and the wait is nobody's time."""
    emulator = start(
        f"""
  F: {{Type: AWS::Serverless::Function, Properties: {{Handler: app.keep, Timeout: 60}}}}
  G:
    Type: AWS::Serverless::Function
    Properties: {{Handler: app.echo, Environment: {{Variables: {{INITS: {tmp_path}}}}}}}
""",
        parallel_inits=1,
    )
    assert emulator.invoke("f", {"code": 3}).error_type == "Runtime.ExitError"
    with ThreadPoolExecutor(2) as callers:
        blocking = callers.submit(emulator.invoke, "g", 1)
        wait_until(lambda: (tmp_path / "0-began").exists(), "the only place is taken")
        again = callers.submit(emulator.invoke, "f", {})
        wait_until(lambda: emulator.running("f") == 1, "it waits")
        assert not again.done()
        (tmp_path / "0-may-end").touch()
        assert blocking.result().ok
        assert again.result().ok
