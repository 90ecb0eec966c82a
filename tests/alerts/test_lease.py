"""The lease: one evaluator at a time, and none for no longer than it must be."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from faasight_alerts.lease import Lease, this_process
from faasight_store import Store
from faasight_store.queries import alerts as stored
from faasight_store.queries.alerts import AlertChange, AlertLease

NOON = datetime.now(UTC).replace(microsecond=0)  # of today: the engine forgets old leases by its own clock
HOLD = """
import sys
from datetime import datetime
from faasight_alerts.lease import Lease, this_process
from faasight_store import Store
store = Store.open(sys.argv[1])
print(bool(Lease(store, this_process(), 3600).take(datetime.fromisoformat(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def change(epoch: int) -> AlertChange:
    """Return a change that some evaluator wrote."""
    times = {"recorded_at": NOON, "slot": NOON, "since": NOON}
    texts = dict.fromkeys(("rule_id", "rule", "severity", "state", "value_text", "condition", "summary"), "x")
    return AlertChange(
        id="a", epoch=epoch, seq=0, instance="i", labels={}, value=0.0, reason="", link="", channels=(), memory="",
        **times, **texts,
    )  # fmt: skip


def test_it_changes_hands_when_it_is_over_or_given_back(emptied: Store) -> None:
    one, two = Lease(emptied, "one", 45), Lease(emptied, "two", 45)
    assert one.take(NOON)
    assert two.take(after(44)) is None
    one.renew(after(44), "checkpoint")
    assert two.take(after(60)) is None
    one.give_back()
    taken = two.take(after(61))
    assert taken is not None
    assert (taken.epoch, taken.checkpoint) == (2, "checkpoint")
    assert one.take(after(62)) is None
    assert (one.epoch, two.epoch) == (0, 2)
    assert one.take(after(200)) is not None


def test_of_two_that_take_it_at_once_one_has_it(emptied: Store) -> None:
    """Both have seen it free, and both have written the next epoch: the earlier row wins."""
    stored.write_lease(emptied, AlertLease(1, "rival", NOON, after(45), ""))
    late = Lease(emptied, "late", 45)
    stored.write_lease(emptied, AlertLease(1, "late", after(1), after(46), ""))
    assert late.take(after(2)) is None
    found = stored.lease(emptied)
    assert found is not None
    assert found.holder == "rival"


def test_an_evaluator_that_comes_after_all_leases_are_forgotten_overrules_the_old_changes(emptied: Store) -> None:
    """Leases are kept for a week, changes for a year: an epoch that began anew would lose against every old change."""
    stored.append(emptied, [change(57)])
    taken = Lease(emptied, "one", 45).take(NOON)
    assert taken is not None
    assert taken.epoch == 58


@pytest.mark.parametrize("emptied", ["server"], indirect=True)
def test_a_process_of_this_machine_that_was_killed_is_replaced_at_once(emptied: Store, clickhouse_port: int) -> None:
    dsn = f"clickhouse://127.0.0.1:{clickhouse_port}/alerts"
    command = [sys.executable, "-c", HOLD, dsn, NOON.isoformat()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        lease = Lease(emptied, this_process(), 45)
        assert lease.take(after(1)) is None
        holder.kill()
        holder.wait(180)
    assert lease.take(after(2)) is not None
