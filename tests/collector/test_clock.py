"""The machine's clock jumps, forward and back: nothing is lost, stored twice, or held up."""

import os
import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from faasight_collector import Collector, Settings
from faasight_collector.journal import Journal
from faasight_store import Store

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]

FIND = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String} ORDER BY 1"
DAY = 86_400.0


class JumpingClock:
    """A clock that is set anew, days off, now and then."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._now = 1_790_000_000.0

    def __call__(self) -> float:
        """Return Unix seconds."""
        self._now += 0.01 if self._chance.random() < 0.9 else self._chance.choice([-DAY, -60.0, -0.5, 0.5, 60.0, DAY])
        return self._now


def test_a_clock_that_jumps_loses_and_doubles_nothing(
    shared_store: Store, settings: Settings, make_traces: MakeTraces, eventually: Eventually
) -> None:
    """With a stop and a start in between, as after a reboot that sets the clock."""
    name, ids = secrets.token_hex(8), [secrets.token_bytes(8) for _ in range(16)]
    own = replace(settings, report_every_s=3600, settle_every_s=3600, store_is_shared=True, lifetime_every_s=3600)
    for start in (0, 8):
        collector = Collector(own, shared_store, clock=JumpingClock(start))
        collector.start()
        try:
            for span_id in ids[start : start + 8]:
                body = make_traces(name=name, ids=[span_id])
                headers = {"content-type": "application/x-protobuf"}
                url = f"http://{collector.http_address}/v1/traces"
                assert requests.post(url, body, headers=headers, timeout=180).status_code == 200
            eventually(lambda collector=collector: collector.journal.inventory.usage().pending == 0)
        finally:
            collector.stop()
    assert [row[0] for row in shared_store.query(FIND, {"name": name})] == sorted(span_id.hex() for span_id in ids)


@pytest.mark.parametrize(("shipped", "again"), [(-DAY, 0), (-60.0, 1), (60.0, 1), (DAY, 0)])
def test_what_was_shipped_when_the_clock_was_wrong_is_not_shipped_for_days(
    settings: Settings, shipped: float, again: int
) -> None:
    """Shipped a day from now, it would be repeated at each start, long after the store has forgotten its token."""
    now = 1_790_000_000.0
    folder = settings.journal_dir / "traces"
    folder.mkdir(parents=True)
    path = Path(folder / f"1700000000000-{secrets.token_hex(8)}-000001.sealed.done")
    path.write_bytes(b"x")
    os.utime(path, (now + shipped, now + shipped))
    journal = Journal(replace(settings, store_is_shared=True), clock=lambda: now)
    journal.open()
    assert len(journal.inventory._replays["traces"]) == again
    journal.close()
