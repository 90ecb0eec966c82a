"""From the journal to the real tables: exactly once, whatever the store and the data do."""

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from faasight_collector import Collector, Settings
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.journal import Journal
from faasight_collector.lane import Lane
from faasight_collector.rows import Rows
from faasight_collector.segments import digest_of, encode_header
from faasight_collector.ship import Shipper, Target
from faasight_collector.stats import Stats
from faasight_store import BadDataError, Store, StoreUnavailableError
from structlog.testing import capture_logs

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]

PROTOBUF = {"content-type": "application/x-protobuf"}
FIND = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String} ORDER BY 1"


def stored(store: Store, name: str) -> list[str]:
    return [row[0] for row in store.query(FIND, {"name": name})]


def hexes(ids: list[bytes]) -> list[str]:
    return sorted(span_id.hex() for span_id in ids)


class Faulty:
    """A real store behind a connection that breaks: before an insert, or after it (the answer is lost)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.before = self.after = 0
        self.landed: list[str] = []
        self.tried = threading.Semaphore(0)

    def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
        """Land, with the faults that are ordered."""
        self.tried.release()
        if self.before:
            self.before -= 1
            raise StoreUnavailableError("connection refused")
        self.store.land(signal, segment, token)
        self.landed.append(token)
        if self.after:
            self.after -= 1
            raise StoreUnavailableError("connection reset by peer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture
def name() -> str:
    """Return a span name that no other test uses."""
    return secrets.token_hex(8)


Send = Callable[..., list[str]]


@pytest.fixture
def send(make_traces: MakeTraces, name: str) -> Send:
    """Send spans of that name to a collector, in requests of up to five; returns their ids as they are stored."""

    def go(collector: Collector, count: int = 5) -> list[str]:
        ids = [secrets.token_bytes(8) for _ in range(count)]
        for start in range(0, count, 5):
            body = make_traces(name=name, ids=ids[start : start + 5])
            answer = requests.post(f"http://{collector.http_address}/v1/traces", body, headers=PROTOBUF, timeout=180)
            assert answer.status_code == 200
        return hexes(ids)

    return go


def test_a_store_that_goes_and_comes_back_gets_everything_once(
    shared_store: Store, start_collector: StartCollector, send: Send, eventually: Eventually, name: str
) -> None:
    """Away before an insert, and away after it: the answer was lost, the rows were not."""
    faulty = Faulty(shared_store)
    faulty.before, faulty.after = 2, 2
    collector = start_collector(faulty)
    ids = send(collector, 40)
    eventually(lambda: stored(shared_store, name) == ids)
    eventually(lambda: collector.journal.inventory.usage().pending == 0)
    assert len(faulty.landed) > len(set(faulty.landed)), "no answer was lost: the test shows nothing"
    assert stored(shared_store, name) == ids
    assert requests.get(f"http://{collector.http_address}/readyz", timeout=180).json()["store"] == "ok"


def test_what_comes_while_the_store_is_away_is_one_insert(
    shared_store: Store, start_collector: StartCollector, send: Send, eventually: Eventually, name: str
) -> None:
    """An insert has a price of its own: one for each moment of an outage would hold up the store once it is back."""
    faulty = Faulty(shared_store)
    faulty.before = 1 << 30
    collector = start_collector(faulty, segment_age_s=0, segment_age_max_s=0)  # else each request is a segment
    first = send(collector)
    assert faulty.tried.acquire(timeout=180)
    rest = send(collector, 30)  # six requests
    faulty.before = 0
    eventually(lambda: collector.journal.inventory.usage().pending == 0)
    assert stored(shared_store, name) == sorted(first + rest)
    assert len(faulty.landed) == 2


def test_while_the_store_is_away_it_is_said(
    shared_store: Store, start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually
) -> None:
    faulty = Faulty(shared_store)
    faulty.before = 1 << 30
    collector = start_collector(faulty)
    url = f"http://{collector.http_address}"
    requests.post(f"{url}/v1/traces", make_traces(), headers=PROTOBUF, timeout=180)
    eventually(lambda: "connection refused" in requests.get(f"{url}/readyz", timeout=180).json()["store"])
    assert requests.get(f"{url}/readyz", timeout=180).status_code == 200, "there is room: it still accepts"


def test_what_is_stored_is_not_stored_again_after_a_restart(
    shared_store: Store, start_collector: StartCollector, send: Send, eventually: Eventually, name: str
) -> None:
    """Shipped segments are kept and shipped again on start; their tokens make that harmless."""
    first = start_collector(shared_store)
    ids = send(first)
    eventually(lambda: stored(shared_store, name) == ids)
    first.stop()
    faulty = Faulty(shared_store)
    second = start_collector(faulty)
    eventually(lambda: faulty.landed and second.journal.inventory.usage().pending == 0)
    assert stored(shared_store, name) == ids


def test_stop_ships_what_it_can(shared_store: Store, start_collector: StartCollector, send: Send, name: str) -> None:
    collector = start_collector(shared_store, segment_age_s=3600, stop_timeout_s=60)
    ids = send(collector)
    collector.stop()
    assert stored(shared_store, name) == ids


def test_stop_leaves_the_rest_in_the_journal(
    shared_store: Store, start_collector: StartCollector, send: Send, eventually: Eventually, name: str
) -> None:
    away = start_collector()
    ids = send(away)
    away.stop()
    assert stored(shared_store, name) == []
    start_collector(shared_store)
    eventually(lambda: stored(shared_store, name) == ids)


# -- bad records ------------------------------------------------------------------------------------------------------


def ship_segment(settings: Settings, target: Target, payloads: list[bytes], signal: str = "traces") -> Journal:
    """Ship one segment file with these records, as a process that was killed left it."""
    folder = settings.journal_dir / signal
    folder.mkdir(parents=True)
    (folder / f"1700000000000-{secrets.token_hex(8)}-000001.open").write_bytes(
        b"".join(encode_header(payload, digest_of("traces", payload)) + payload for payload in payloads)
    )
    journal = Journal(settings)
    journal.open()
    segment = journal.inventory.next_segment(signal)
    assert segment is not None
    Shipper(journal, target, letters(settings), Stats()).ship(segment)
    journal.close()
    return journal


def letters(settings: Settings) -> DeadLetters:
    return DeadLetters(settings.journal_dir / "dead-letters", lambda: 0.0)


def kept(settings: Settings) -> list[Path]:
    return sorted((settings.journal_dir / "dead-letters").glob("*.bin"))


@pytest.mark.parametrize("poisoned", [[0], [2, 3]])
def test_bad_records_go_to_the_dead_letters_and_the_others_are_stored(
    shared_store: Store, settings: Settings, make_traces: MakeTraces, name: str, poisoned: list[int]
) -> None:
    """A record that the engine refuses does not take its neighbours with it."""
    ids = [secrets.token_bytes(8) for _ in range(7)]
    payloads = [
        b"\x0a\xff\x01poison%d" % n if n in poisoned else make_traces(name=name, ids=[ids[n]]) for n in range(7)
    ]
    ship_segment(settings, shared_store, payloads)
    assert stored(shared_store, name) == hexes([ids[n] for n in range(7) if n not in poisoned])
    assert [path.read_bytes() for path in kept(settings)] == [payloads[n] for n in poisoned]
    notes = [path.with_suffix(".json").read_text() for path in kept(settings)]
    assert all('"reason": "The store cannot read the data' in note for note in notes)


def test_parts_are_not_stored_twice_when_they_are_shipped_again(
    shared_store: Store, settings: Settings, make_traces: MakeTraces, name: str
) -> None:
    ids = [secrets.token_bytes(8) for _ in range(6)]
    payloads = [make_traces(name=name, ids=[span_id]) for span_id in ids]
    payloads.insert(3, b"\x0a\xff\x01poison")
    ship_segment(settings, shared_store, payloads)
    again = Journal(settings)
    again.open()
    segment = again.inventory.next_segment("traces")
    assert segment is not None
    assert segment.split
    stats = Stats()
    Shipper(again, shared_store, letters(settings), stats).ship(segment)
    again.close()
    assert stored(shared_store, name) == hexes(ids)
    assert len(kept(settings)) == 1
    assert stats.snapshot()["traces"].dead_letters == 0, "it was counted the first time"


def test_a_record_that_the_disk_damaged_is_a_dead_letter(
    shared_store: Store, settings: Settings, make_traces: MakeTraces, name: str
) -> None:
    ids = [secrets.token_bytes(8) for _ in range(3)]
    payloads = [make_traces(name=name, ids=[span_id]) for span_id in ids]
    folder = settings.journal_dir / "traces"
    folder.mkdir(parents=True)
    data = bytearray(b"".join(encode_header(payload, digest_of("traces", payload)) + payload for payload in payloads))
    data[len(data) // 2] ^= 0x40
    (folder / f"1700000000000-{secrets.token_hex(8)}-000001.sealed").write_bytes(data)
    journal = Journal(settings)
    journal.open()
    segment = journal.inventory.next_segment("traces")
    assert segment is not None
    stats = Stats()
    Shipper(journal, shared_store, letters(settings), stats).ship(segment)
    assert stored(shared_store, name) == hexes([ids[0], ids[2]])
    assert len(kept(settings)) == stats.snapshot()["traces"].dead_letters == 1
    assert "checksum mismatch" in kept(settings)[0].with_suffix(".json").read_text()
    assert journal.inventory.usage().dead_letters > 0
    journal.close()


def test_one_signal_in_trouble_does_not_hold_up_the_others(
    shared_store: Store, start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually, name: str
) -> None:
    class NoLogs(Faulty):
        def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
            if signal == "records":
                raise StoreUnavailableError("no such table")
            super().land(signal, segment, token)

    collector = start_collector(NoLogs(shared_store))
    url = f"http://{collector.http_address}"
    ids = [secrets.token_bytes(8)]
    assert requests.post(f"{url}/v1/json-logs", b'{"message": "stuck"}', timeout=180).ok
    assert requests.post(f"{url}/v1/traces", make_traces(name=name, ids=ids), headers=PROTOBUF, timeout=180).ok
    eventually(lambda: stored(shared_store, name) == hexes(ids))
    assert collector.journal.pending_bytes("records") > 0


# -- a segment that the engine answers with an error, time and again --------------------------------------------------


class Stuck(Faulty):
    """A real store that has a fault with some data, as when a view throws: the engine's error, not the network's."""

    def __init__(self, store: Store, data: bytes) -> None:
        super().__init__(store)
        self.data = data
        self.answered = True

    def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
        """Land, or fail."""
        segment = bytes(segment)
        if self.data and self.data in segment:
            error = StoreUnavailableError("Code: 395: boom: while pushing to view")
            error.answered = self.answered
            self.tried.release()
            raise error
        super().land(signal, segment, token)


def test_a_segment_that_never_succeeds_lets_the_others_pass_and_is_stored_when_it_can_be(
    shared_store: Store,
    start_collector: StartCollector,
    make_traces: MakeTraces,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr("faasight_collector.lane._FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("faasight_collector.lane._ASIDE_S", 0.1)
    stuck = Stuck(shared_store, b"poison")
    collector = start_collector(stuck)
    url = f"http://{collector.http_address}"
    ids = [secrets.token_bytes(8) for _ in range(3)]
    bad = make_traces(name=f"poison-{name}", ids=[secrets.token_bytes(8)])
    assert requests.post(f"{url}/v1/traces", bad, headers=PROTOBUF, timeout=180).ok
    assert stuck.tried.acquire(timeout=180)
    for span_id in ids:
        body = make_traces(name=name, ids=[span_id])
        assert requests.post(f"{url}/v1/traces", body, headers=PROTOBUF, timeout=180).ok
    eventually(lambda: stored(shared_store, name) == hexes(ids))
    told = requests.get(f"{url}/readyz", timeout=180).json()
    assert "wait aside" in told["store"]
    assert told["ready"]
    assert kept(collector.settings) == [], "it may be stored later: it is no dead letter"
    stuck.data = b""  # an update has mended the view
    eventually(lambda: len(stored(shared_store, f"poison-{name}")) == 1)
    eventually(lambda: requests.get(f"{url}/readyz", timeout=180).json()["store"] == "ok")


def test_while_the_store_cannot_be_reached_the_order_stays(
    shared_store: Store,
    start_collector: StartCollector,
    make_traces: MakeTraces,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """It says nothing of the segment, however often: nothing is set aside."""
    monkeypatch.setattr("faasight_collector.lane._FIRST_WAIT_S", 0.001)
    stuck = Stuck(shared_store, name.encode())
    stuck.answered = False
    collector = start_collector(stuck)
    collector.journal.append("traces", make_traces(name=name), lambda _: None)
    for _ in range(9):
        assert stuck.tried.acquire(timeout=180)
    assert "boom" in requests.get(f"http://{collector.http_address}/readyz", timeout=180).json()["store"]
    assert "aside" not in requests.get(f"http://{collector.http_address}/readyz", timeout=180).json()["store"]


def test_a_segment_whose_file_is_gone_lets_the_others_pass(
    shared_store: Store,
    start_collector: StartCollector,
    make_traces: MakeTraces,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr("faasight_collector.lane._FIRST_WAIT_S", 0.01)
    faulty = Faulty(shared_store)
    faulty.before = 1
    collector = start_collector(faulty)
    traces = collector.settings.journal_dir / "traces"
    collector.journal.append("traces", make_traces(), lambda _: None)
    eventually(lambda: faulty.before == 0 or list(traces.glob("*.sealed")))
    for path in traces.glob("*.sealed"):
        path.unlink()
    span_id = secrets.token_bytes(8)
    collector.journal.append("traces", make_traces(name=name, ids=[span_id]), lambda _: None)
    eventually(lambda: stored(shared_store, name) == hexes([span_id]))


def test_a_view_that_fails_is_not_bad_data(bare_store: Store) -> None:
    """Another view of the same insert has stored the whole of it by then: to split it would store it twice."""
    bare_store.command("CREATE TABLE records (ts String) ENGINE = Null")
    for table, expression in (("first", "ts"), ("second", "toString(toUInt64(ts))")):
        bare_store.command(f"CREATE TABLE {table} (ts String) ENGINE = MergeTree ORDER BY ts")
        bare_store.command(f"CREATE MATERIALIZED VIEW to_{table} TO {table} AS SELECT {expression} AS ts FROM records")
    with pytest.raises(StoreUnavailableError, match="while pushing to view") as refused:
        bare_store.land("records", b'{"ts": "no number"}', "token")
    assert refused.value.answered
    assert bare_store.query("SELECT count() FROM first") == [(1,)]


class Quoting:
    """An engine that quotes what it cannot read."""

    said = 'Cannot parse input: expected , before: "password=hunter2 and so on"'

    def land(self, *_: object) -> None:
        """Refuse."""
        raise BadDataError(self.said)


def test_secrets_that_an_engine_quotes_are_neither_logged_nor_shown(settings: Settings) -> None:
    """Its reason goes into the log, and by /readyz to whoever asks; as a whole it lies beside the dead letter alone."""
    journal = Journal(settings)
    journal.open()
    journal.append("traces", b"x", lambda _: None)
    journal.finish()
    segment = journal.inventory.next_segment("traces")
    assert segment is not None
    letters = DeadLetters(settings.journal_dir / "dead-letters", lambda: 0.0)
    lane = Lane("traces")
    with capture_logs() as lines:
        Shipper(journal, Quoting(), letters, Stats()).ship(segment)
        lane.failed(segment, StoreUnavailableError(Quoting.said))
    told = [line.get("error", line.get("reason", "")) for line in lines] + [lane.trouble()]
    assert len(told) == 4
    assert all("Cannot parse" in text and "hunter2" not in text for text in told)
    journal.close()
