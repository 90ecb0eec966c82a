"""The journal keeps what it said it keeps, and says no when it cannot."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faasight_collector import JournalLockedError, Settings
from faasight_collector.errors import Refusal
from faasight_collector.journal import Journal
from faasight_collector.recovery import latest_digests, recover
from faasight_collector.segments import HEADER_BYTES, Record, Segment, digest_of, scan
from faasight_collector.writer import SegmentFile

Eventually = Callable[[Callable[[], object]], None]
Open = Callable[..., Journal]


@pytest.fixture
def open_journal(settings: Settings) -> Iterator[Open]:
    """Open journals that are closed at the end."""
    opened: list[Journal] = []

    def open_one(**changes: object) -> Journal:
        journal = Journal(replace(settings, **changes))  # type: ignore[arg-type]  # the tests name real fields
        journal.open()
        opened.append(journal)
        return journal

    yield open_one
    for journal in opened:
        journal.close()


def commit(journal: Journal, payload: bytes, signal: str = "traces") -> Refusal | None:
    """Append one record and wait for its outcome."""
    answered, outcome = threading.Event(), []

    def done(refusal: Refusal | None) -> None:
        outcome.append(refusal)
        answered.set()

    journal.append(signal, payload, done)
    assert answered.wait(180)
    (refusal,) = outcome
    return refusal


def contents(segment: Segment) -> list[bytes]:
    return [bytes(item.payload) for item in scan(segment.path.read_bytes()) if isinstance(item, Record)]


def take_all(journal: Journal, signal: str = "traces") -> list[bytes]:
    """Ship every sealed segment to a list."""
    found: list[bytes] = []
    while (segment := journal.inventory.next_segment(signal)) is not None:
        found += contents(segment)
        journal.inventory.mark_shipped(segment)
    return found


def test_what_was_committed_is_in_a_sealed_segment(open_journal: Open, eventually: Eventually) -> None:
    journal = open_journal()
    assert [commit(journal, body) for body in (b"one", b"two")] == [None, None]
    eventually(lambda: journal.inventory.next_segment("traces") and journal.oldest_ms("traces"))
    journal.finish()
    assert take_all(journal) == [b"one", b"two"]
    assert journal.inventory.usage().pending == 0


def test_a_committed_record_is_on_disk_before_it_is_answered(open_journal: Open, settings: Settings) -> None:
    journal = open_journal(segment_age_s=3600)
    commit(journal, b"safe")
    (path,) = (settings.journal_dir / "traces").iterdir()
    assert [bytes(item.payload) for item in scan(path.read_bytes()) if isinstance(item, Record)] == [b"safe"]


def test_many_threads_lose_nothing(open_journal: Open) -> None:
    journal = open_journal(segment_bytes=2000)
    bodies = [b"%d/%d " % (thread, i) * 10 for thread in range(8) for i in range(50)]

    def work(mine: list[bytes]) -> None:
        for body in mine:
            assert commit(journal, body, "logs") is None

    threads = [threading.Thread(target=work, args=(bodies[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.finish()
    assert sorted(take_all(journal, "logs")) == sorted(bodies)


def test_segments_are_sealed_by_size_and_have_ids_of_their_own(open_journal: Open) -> None:
    journal = open_journal(segment_bytes=1000, segment_age_s=3600)
    for n in range(10):
        commit(journal, b"%d" % n * 600)
    journal.finish()
    ids = []
    while (segment := journal.inventory.next_segment("traces")) is not None:
        ids.append(segment.id)
        assert segment.bytes < 2500
        journal.inventory.mark_shipped(segment)
    assert len(set(ids)) == len(ids) >= 5


def test_the_same_request_sent_again_is_kept_once(open_journal: Open) -> None:
    """A client that lost our answer sends its request again: it is told yes, and nothing is stored twice."""
    journal = open_journal()
    assert [commit(journal, b"again") for _ in range(3)] == [None] * 3
    journal.finish()
    assert take_all(journal) == [b"again"]


def test_a_request_sent_again_after_a_restart_is_kept_once(open_journal: Open) -> None:
    first = open_journal()
    commit(first, b"before the crash")
    first.close()
    second = open_journal()
    commit(second, b"before the crash")
    second.finish()
    assert take_all(second) == [b"before the crash"]


def test_shipped_segments_are_shipped_again_on_start_and_deleted_when_old(
    open_journal: Open, settings: Settings
) -> None:
    first = open_journal()
    commit(first, b"shipped")
    first.finish()
    take_all(first)
    first.close()
    second = open_journal()
    segment = second.inventory.next_segment("traces")
    assert segment is not None
    assert segment.replay
    assert take_all(second) == [b"shipped"]
    second.close()
    third = open_journal(keep_shipped_s=-1)
    assert third.inventory.next_segment("traces") is None
    assert list((settings.journal_dir / "traces").iterdir()) == []


def test_what_is_new_goes_before_what_is_shipped_again(open_journal: Open) -> None:
    first = open_journal()
    commit(first, b"shipped")
    first.finish()
    take_all(first)
    first.close()
    second = open_journal()
    kept = second.inventory.usage()
    assert (kept.pending, kept.kept > 0) == (0, True)
    commit(second, b"fresh")
    second.finish()
    fresh = second.inventory.next_segment("traces", replays=False)
    assert fresh is not None
    assert not fresh.replay
    assert take_all(second) == [b"fresh", b"shipped"]
    assert second.inventory.next_segment("traces") is None


def test_a_replayed_segment_keeps_its_id(open_journal: Open) -> None:
    """The id is the deduplication token: another one would store the segment twice."""
    first = open_journal()
    commit(first, b"x")
    first.finish()
    before = first.inventory.next_segment("traces")
    assert before is not None
    marked = first.inventory.mark_split(before)
    first.inventory.mark_shipped(marked)
    first.close()
    after = open_journal().inventory.next_segment("traces")
    assert after is not None
    assert (after.id, after.split) == (before.id, True)


def leave_open_segment(settings: Settings, data: Callable[[bytes], bytes]) -> None:
    """Leave what a killed process leaves: an open segment, changed by `data`."""
    journal = Journal(replace(settings, segment_age_s=3600))
    journal.open()
    for body in (b"first", b"second"):
        commit(journal, body)
    (path,) = (settings.journal_dir / "traces").iterdir()
    content = path.read_bytes()
    journal.close()
    for left in path.parent.iterdir():
        left.unlink()
    path.write_bytes(data(content))


@pytest.mark.parametrize("cut", [1, 5, 20, 33])
def test_a_torn_tail_is_cut_off(open_journal: Open, settings: Settings, cut: int) -> None:
    leave_open_segment(settings, lambda data: data[:-cut])
    assert take_all(open_journal()) == [b"first"]


def test_an_open_segment_without_a_whole_record_disappears(open_journal: Open, settings: Settings) -> None:
    leave_open_segment(settings, lambda data: data[:7])
    assert open_journal().inventory.next_segment("traces") is None


def test_a_killed_process_left_an_open_segment(open_journal: Open, settings: Settings) -> None:
    leave_open_segment(settings, lambda data: data)
    assert take_all(open_journal()) == [b"first", b"second"]


def test_a_request_whose_payload_a_crash_has_spoiled_is_written_when_it_comes_again(
    open_journal: Open, settings: Settings
) -> None:
    """The header reached the disk and the payload did not: nobody was answered, and its sender tries again."""
    leave_open_segment(settings, lambda data: data[: -len(b"second")] + bytes(len(b"second")))
    first = open_journal()
    first.close()
    again = open_journal()  # sealed by then
    assert commit(again, b"second") is None
    assert commit(again, b"first") is None
    again.finish()
    assert sorted(take_all(again)) == [b"first", b"second"]


def test_two_processes_never_share_a_journal(open_journal: Open, settings: Settings) -> None:
    open_journal()
    code = (
        "from pathlib import Path; from faasight_collector import Settings\n"
        "from faasight_collector.journal import Journal\n"
        f"Journal(Settings(journal_dir=Path({str(settings.journal_dir)!r}))).open()"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=180)
    assert f"is in use by another collector (process {os.getpid()})" in other.stderr
    with pytest.raises(JournalLockedError, match=str(settings.journal_dir)):
        Journal(settings).open()


def test_the_budget_holds_and_shipping_makes_room(open_journal: Open) -> None:
    journal = open_journal(journal_budget_bytes=10_000, segment_age_s=0.01)
    for n in range(3):
        assert commit(journal, b"%d" % n * 3000) is None
    with pytest.raises(Refusal, match="budget of 10000 bytes") as refused:
        commit(journal, b"3" * 3000)
    assert (refused.value.http, refused.value.code) == (503, 14)
    assert refused.value.retry_after_s
    journal.seal_all()


def test_room_comes_back_when_segments_are_shipped(
    open_journal: Open, eventually: Eventually, settings: Settings
) -> None:
    journal = open_journal(journal_budget_bytes=10_000, segment_age_s=0.01)
    for n in range(3):
        commit(journal, b"%d" % n * 3000)
    eventually(
        lambda: (
            len(list((settings.journal_dir / "traces").glob("*.sealed"))) and journal.inventory.next_segment("traces")
        )
    )
    eventually(lambda: take_all(journal) or journal.inventory.usage().pending == 0)
    assert commit(journal, b"3" * 3000) is None
    usage = journal.inventory.usage()
    assert usage.pending + usage.kept <= 10_000


def test_a_slow_store_gets_fewer_and_larger_segments(
    open_journal: Open, eventually: Eventually, settings: Settings
) -> None:
    """Each insert has a price of its own: a store that needs long for one is asked less often, within a limit."""
    journal = open_journal(segment_age_s=0.01, segment_age_max_s=3600)
    journal.shipped("traces", 900)
    for n in range(5):
        commit(journal, b"%d" % n)
    assert [path.suffix for path in (settings.journal_dir / "traces").iterdir()] == [".open"]
    journal.shipped("traces", 0.001)
    commit(journal, b"5")
    eventually(lambda: journal.inventory.next_segment("traces"))
    assert take_all(journal) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_segment_grows_while_the_one_before_it_waits(
    open_journal: Open, eventually: Eventually, settings: Settings
) -> None:
    """What could not be stored sooner by being small is not; when the store has the one before, the next is sealed."""
    journal = open_journal(segment_age_s=0, segment_age_max_s=0)  # with nothing before it each would be sealed at once
    commit(journal, b"first")
    eventually(lambda: journal.inventory.next_segment("traces"))
    commit(journal, b"second", "logs")
    eventually(lambda: journal.inventory.next_segment("logs"))  # another signal waits for nobody
    for n in range(3):
        commit(journal, b"%d" % n)
    assert sorted(path.suffix for path in (settings.journal_dir / "traces").iterdir()) == [".open", ".sealed"]
    assert take_all(journal) == [b"first"]
    journal.shipped("traces", 0.001)
    eventually(lambda: journal.inventory.next_segment("traces"))
    assert take_all(journal) == [b"0", b"1", b"2"]


def test_dead_letters_take_their_part_of_the_budget(open_journal: Open) -> None:
    journal = open_journal(journal_budget_bytes=10_000)
    journal.inventory.count_dead_letters(9_990)
    with pytest.raises(Refusal, match="budget"):
        commit(journal, b"x" * 100)


def test_a_disk_that_is_nearly_full_refuses(open_journal: Open) -> None:
    journal = open_journal(disk_reserve_bytes=1 << 60)
    with pytest.raises(Refusal, match="nearly full") as refused:
        commit(journal, b"x")
    assert refused.value.reason == "disk_full"
    assert journal.refusal() is not None


def test_a_failed_write_is_refused_and_leaves_no_trace(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """The disk fills up in the middle of a batch: its requests are told to come back, earlier ones are kept."""
    journal = open_journal(segment_age_s=3600)
    assert commit(journal, b"kept") is None
    real = SegmentFile.commit

    def full(file: SegmentFile) -> None:
        real(file)  # the bytes are in the file: what must not count is cut off again
        file.bytes -= len(b"lost") + HEADER_BYTES
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentFile, "commit", full)
        refusal = commit(journal, b"lost")
    assert refusal is not None
    assert (refusal.http, refusal.reason) == (503, "disk_error")
    assert commit(journal, b"later") is None
    journal.finish()
    assert take_all(journal) == [b"kept", b"later"]


def test_a_request_refused_by_the_disk_is_taken_when_it_comes_again(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal()
    with monkeypatch.context() as patch:
        patch.setattr(SegmentFile, "commit", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
        assert commit(journal, b"again") is not None
    assert commit(journal, b"again") is None
    journal.finish()
    assert take_all(journal) == [b"again"]


def test_after_the_end_nothing_is_taken(open_journal: Open) -> None:
    journal = open_journal()
    journal.finish()
    with pytest.raises(Refusal, match="stopping"):
        commit(journal, b"late")


def test_journal_files_are_private(open_journal: Open, settings: Settings) -> None:
    commit(open_journal(segment_age_s=3600), b"private")
    (path,) = (settings.journal_dir / "traces").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert Path(settings.journal_dir / "lock").read_text() == str(os.getpid())


def test_a_replay_is_not_mistaken_for_new_by_a_stop_before_it_was_shipped(open_journal: Open) -> None:
    first = open_journal()
    assert commit(first, b"stored") is None
    first.finish()
    take_all(first)
    first.close()
    for _ in range(2):
        again = open_journal()
        segment = again.inventory.next_segment("traces")
        assert segment is not None
        assert segment.replay
        again.close()


def test_a_replay_keeps_the_time_of_its_first_shipping(open_journal: Open) -> None:
    first = open_journal()
    assert commit(first, b"stored") is None
    first.finish()
    take_all(first)
    first.close()
    (done,) = (first._directory / "traces").glob("*.done")
    os.utime(done, (1_000_000, 1_000_000))
    second = open_journal()
    assert take_all(second) == [b"stored"]
    assert done.stat().st_mtime == 1_000_000


@pytest.mark.parametrize(("shared", "again"), [(False, [b"stored"]), (True, [])])
def test_a_night_without_power_does_not_age_what_may_have_to_be_shipped_again(
    open_journal: Open, shared: bool, again: list[bytes]
) -> None:
    first = open_journal()
    assert commit(first, b"stored") is None
    first.finish()
    take_all(first)
    first.close()
    (done,) = (first._directory / "traces").glob("*.done")
    yesterday = done.stat().st_mtime - 86_400
    os.utime(done, (yesterday, yesterday))
    assert take_all(open_journal(store_is_shared=shared)) == again


def test_the_same_bytes_for_another_signal_are_another_request(open_journal: Open) -> None:
    journal = open_journal()
    for signal in ("traces", "logs"):
        assert commit(journal, b"the same", signal) is None
    journal.finish()
    assert [take_all(journal, signal) for signal in ("traces", "logs")] == [[b"the same"], [b"the same"]]


def test_of_more_requests_than_are_remembered_the_newest_are(
    open_journal: Open, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that got no answer when the process died sends again what was written last."""
    monkeypatch.setattr("faasight_collector.recovery.GENERATION", 3)
    journal = open_journal()
    for n in range(5):
        assert commit(journal, b"%d" % n) is None
    journal.close()
    found = recover(settings.journal_dir, now=None, keep_s=300)
    assert list(latest_digests(found)) == [digest_of("traces", b"%d" % n) for n in (2, 3, 4)]


def test_a_segment_that_cannot_be_renamed_stops_no_commit_and_is_shipped_later(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    refusing, refused = threading.Event(), threading.Event()
    seal = SegmentFile.seal

    def failing(file: SegmentFile) -> Path | None:
        if refusing.is_set():
            refused.set()
            raise OSError(errno.EROFS, "Read-only file system")
        return seal(file)

    monkeypatch.setattr(SegmentFile, "seal", failing)
    journal = open_journal()
    refusing.set()
    assert commit(journal, b"before") is None
    journal.seal_all()
    assert refused.wait(180)
    assert commit(journal, b"after") is None
    refusing.clear()
    journal.seal_all()
    eventually(lambda: journal.inventory.usage().pending and len(journal.inventory._waiting["traces"]) == 2)
    assert sorted(take_all(journal)) == [b"after", b"before"]
