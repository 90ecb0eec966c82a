"""The journal's disk fails, fills up or flips bits: what was acknowledged is there once; what is spoiled is told."""

import contextlib
import errno
import itertools
import json
import os
import random
import secrets
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faasight_collector import Settings
from faasight_collector.dead_letters import FOLDER, DeadLetters
from faasight_collector.errors import Refusal
from faasight_collector.journal import Journal
from faasight_collector.recent import Claims, RecentDigests
from faasight_collector.rows import Rows
from faasight_collector.segments import HEADER_BYTES, Record, digest_of, encode_header, scan
from faasight_collector.ship import Shipper
from faasight_collector.stats import Stats
from fault_proxy import FaultProxy, running_proxy
from killing import Process, Sender, collector, compare, pending_bytes, stored
from polling import wait_until
from ports import free_ports

# -- a disk that fails at random --------------------------------------------------------------------------------------

CALLS = {  # what the journal asks of the disk, and how that may fail
    "write": (errno.ENOSPC, errno.EIO),
    "fdatasync": (errno.EIO, errno.ENOSPC),
    "ftruncate": (errno.EIO,),
    "open": (errno.ENOSPC, errno.EMFILE),
    "fsync": (errno.EIO,),
}


class BadDisk:
    """`os` with faults: each call fails with the chance that is set; a failing write writes a part of it first."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.failing = 0.0
        self.failed: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._faulty(name, real) if name in CALLS else real

    def _faulty(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if self._chance.random() >= self.failing:
                return real(*arguments, **more)
            self.failed[name] += 1
            if name == "write":
                descriptor, data = arguments
                real(descriptor, data[: self._chance.randrange(len(data) + 1)])
            number = self._chance.choice(CALLS[name])
            raise OSError(number, os.strerror(number))

        return call


def commit(journal: Journal, payloads: list[bytes]) -> list[Refusal | None]:
    """Append records at once and wait for their outcomes."""
    outcomes: dict[bytes, Refusal | None] = {}
    answered = threading.Semaphore(0)

    def done(payload: bytes, refusal: Refusal | None) -> None:
        outcomes[payload] = refusal
        answered.release()

    for payload in payloads:
        journal.append("traces", payload, lambda refusal, payload=payload: done(payload, refusal))
    for _ in payloads:
        assert answered.acquire(timeout=180)
    return [outcomes[payload] for payload in payloads]


def all_records(journal: Journal) -> Counter[bytes]:
    """Return every record that would be shipped, with how often."""
    found: Counter[bytes] = Counter()
    while segment := journal.inventory.next_segment("traces"):
        found.update(bytes(item.payload) for item in scan(segment.path.read_bytes()) if isinstance(item, Record))
        journal.inventory.mark_shipped(segment)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_disk_refuses_nothing_is_lost_or_doubled(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, seed: int, tmp_path: Path
) -> None:
    """Clients come again until they are told that it is safe; and a kill at any time finds the same."""
    chance = random.Random(seed)
    disk = BadDisk(chance)
    monkeypatch.setattr("faasight_collector.writer.os", disk)
    journal = Journal(replace(settings, commit_window_s=0, segment_bytes=4000, segment_age_s=3600))
    journal.open()
    waiting = [b"%d-" % n + b"x" * chance.randrange(1500) for n in range(200)]
    acknowledged: list[bytes] = []
    kills = itertools.count()
    while waiting:
        disk.failing = chance.choice([0.0, 0.1, 0.5])
        batch = [waiting.pop() for _ in range(min(len(waiting), chance.randrange(1, 8)))]
        for payload, refusal in zip(batch, commit(journal, batch), strict=True):
            if refusal is None:
                acknowledged.append(payload)
            else:
                assert (refusal.http, refusal.reason) == (503, "disk_error")
                waiting.insert(chance.randrange(len(waiting) + 1), payload)
        if chance.random() < 0.04:
            disk.failing = 0.0
            _check_a_kill_now(settings, tmp_path / f"kill-{next(kills)}", acknowledged, waiting)
    assert len(disk.failed) == len(CALLS), f"some calls never failed: {disk.failed}"
    disk.failing = 0.0
    journal.finish()
    assert all_records(journal) == Counter(acknowledged)
    journal.close()


def _check_a_kill_now(settings: Settings, copy: Path, acknowledged: list[bytes], waiting: list[bytes]) -> None:
    """Look at a copy of the files: a process that is killed leaves them as they are."""
    _copy_at_once(settings.journal_dir, copy)
    journal = Journal(replace(settings, journal_dir=copy))
    journal.open()
    assert commit(journal, waiting) == [None] * len(waiting)  # what was refused comes again
    journal.finish()
    assert all_records(journal) == Counter(acknowledged + waiting)
    journal.close()


def _copy_at_once(source: Path, target: Path) -> None:
    """Copy a folder; anew if a file got another name meanwhile, for no kill leaves a half of that."""
    for _ in range(20):
        with contextlib.suppress(shutil.Error):
            shutil.copytree(source, target)
            return
        shutil.rmtree(target)
    pytest.fail("the files never stood still")


class Claiming(RecentDigests):
    """The memory that workers share, as far as one of them sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed: set[bytes] = set()

    def claim(self, digests: Sequence[bytes]) -> Claims:
        """Note what is neither safe nor given back."""
        claims = super().claim(digests)
        self.claimed.update(set(digests) - claims.known)
        return claims

    def keep(self, digests: Sequence[bytes]) -> None:
        """Note that these are safe."""
        super().keep(digests)
        self.claimed.difference_update(digests)

    def release(self, digests: Sequence[bytes]) -> None:
        """Note that others may write these."""
        self.claimed.difference_update(digests)


def test_what_was_refused_while_a_file_was_broken_another_worker_may_write(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One was written and could not be cut off again; the other came then, and was not written at all."""
    disk = BadDisk(random.Random(1))
    monkeypatch.setattr("faasight_collector.writer.os", disk)
    journal = Journal(replace(settings, segment_age_s=3600))
    journal._recent = memory = Claiming()
    journal.open()
    assert commit(journal, [b"safe"]) == [None]
    disk.failing = 1.0
    for payload in (b"written", b"not written"):
        assert [refusal.reason for refusal in commit(journal, [payload]) if refusal] == ["disk_error"]
    disk.failing = 0.0
    assert commit(journal, [b"later"]) == [None]
    assert not memory.claimed
    journal.finish()
    assert all_records(journal) == Counter([b"safe", b"later"])
    journal.close()


class Target:
    """A store that takes everything, and keeps what it was given."""

    def __init__(self, tokens: list[str], segments: list[bytes]) -> None:
        self._tokens, self._segments = tokens, segments

    def land(self, signal: str, segment: bytes | Rows, token: str) -> None:
        """Take it."""
        del signal
        self._tokens.append(token)
        self._segments.append(bytes(segment))


@pytest.mark.parametrize("call", ["rename", "utime", "fsync"])
def test_a_segment_that_cannot_be_marked_is_shipped_again_under_its_token(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whatever fails between the insert and the mark, the next try finds the segment under its name of then."""
    journal = Journal(replace(settings, segment_age_s=3600))
    journal.open()
    commit(journal, [b"one"])
    journal.finish()
    landed: list[str] = []

    shipper = Shipper(journal, Target(landed, []), DeadLetters(settings.journal_dir / FOLDER, lambda: 0.0), Stats())
    segment = journal.inventory.next_segment("traces")
    assert segment is not None
    where = {
        "rename": (Path, "rename"),
        "utime": (os, "utime"),
        "fsync": ("faasight_collector.inventory.sync_directory", None),
    }[call]
    with monkeypatch.context() as patch:
        fail = _failing(OSError(errno.ENOSPC, "No space left on device"))
        if where[1] is None:
            patch.setattr(where[0], fail)
            with pytest.raises(OSError, match="No space"):
                journal.inventory.mark_split(segment)
        else:
            patch.setattr(*where, fail)
            with pytest.raises(OSError, match="No space"):
                shipper.ship(segment)
    again = journal.inventory.next_segment("traces")
    assert again is not None
    assert again.path.exists()
    shipper.ship(again)
    assert journal.inventory.next_segment("traces") is None
    assert set(landed) <= {segment.id, f"{segment.id}/0-1"}
    journal.close()


def _failing(error: OSError) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_fault_of_ours_in_a_commit_refuses_it_and_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the disk fails: memory runs out, code has faults. The thread that answers everybody goes on."""
    journal = Journal(settings)
    journal.open()
    with monkeypatch.context() as patch:
        patch.setattr("faasight_collector.journal.encode_header", lambda *_: (_ for _ in ()).throw(MemoryError))
        (refusal,) = commit(journal, [b"one"])
    assert refusal is not None
    assert refusal.http == 503
    assert commit(journal, [b"one"]) == [None]
    journal.finish()
    assert all_records(journal) == Counter([b"one"])
    journal.close()


# -- flipped bits -----------------------------------------------------------------------------------------------------

# Each is one resource to the shipper, which passes on what follows the tag.
BODIES = [
    b"\x0a\x2d" + name + letter * (45 - len(name)) for name, letter in ((b"1-", b"a"), (b"2-", b"b"), (b"3-", b"c"))
]
FIELDS = {"magic": 1, "length": 4, "high length": 7, "checksum": 9, "digest": 15, "own checksum": 29, "payload": 50}


@pytest.mark.parametrize("state", [".open", ".sealed", ".split", ".sealed.done"])
@pytest.mark.parametrize("hit", range(len(BODIES)))
@pytest.mark.parametrize("field", FIELDS)
def test_a_flipped_bit_anywhere_costs_its_record_alone_and_is_told(
    settings: Settings, state: str, hit: int, field: str
) -> None:
    """Whichever record, wherever in it, in whichever file: all others are stored, it is a dead letter."""
    data = bytearray(b"".join(encode_header(body, digest_of("traces", body)) + body for body in BODIES))
    data[sum(HEADER_BYTES + len(body) for body in BODIES[:hit]) + FIELDS[field]] ^= 0x10
    folder = settings.journal_dir / "traces"
    folder.mkdir(parents=True)
    (folder / f"1700000000000-{secrets.token_hex(8)}-000001{state}").write_bytes(data)
    landed: list[bytes] = []

    journal = Journal(settings)
    journal.open()
    letters = DeadLetters(settings.journal_dir / FOLDER, lambda: 0.0)
    while segment := journal.inventory.next_segment("traces"):
        Shipper(journal, Target([], landed), letters, Stats()).ship(segment)
    journal.close()
    whole = b"".join(landed)
    assert [body[1:] in whole for body in BODIES] == [n != hit for n in range(len(BODIES))]
    (note,) = (settings.journal_dir / FOLDER).glob("*.json")
    assert json.loads(note.read_bytes())["reason"].startswith("journal damage")


# -- a full disk ------------------------------------------------------------------------------------------------------

SMALL_MB = 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Return a folder on a file system of 2 MB, and what to put before a command so that it sees it."""
    folder = tmp_path / "journal"
    folder.mkdir()
    script = f"mount -t tmpfs -o size={SMALL_MB}m none {folder} && echo mounted && exec cat"
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline().strip() != b"mounted":
            assert "CI" not in os.environ, "a small file system cannot be mounted here, and CI must try it"
            pytest.skip("a small file system cannot be mounted here")
        yield folder, ["nsenter", "--preserve-credentials", "--user", "--mount", f"--target={holder.pid}"]
        with contextlib.suppress(OSError):
            assert holder.stdin is not None
            holder.stdin.close()


@pytest.fixture
def proxy(clickhouse_port: int) -> Iterator[FaultProxy]:
    """Run the proxy that takes the store away."""
    with running_proxy(clickhouse_port) as running:
        yield running


def test_a_full_disk_refuses_and_loses_nothing(
    small_disk: tuple[Path, list[str]],
    shared_server: str,
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store is away, the disk fills to its last byte; it is killed there, the store comes back."""
    _, inside = small_disk
    own = {"disk_reserve_bytes": 0, "keep_shipped_s": 0.0, "segment_bytes": 400_000}  # the last byte is reached
    monkeypatch.setenv("RUNNER_SETTINGS", json.dumps(own))
    (port,) = free_ports(1)
    dsn, name = f"clickhouse://127.0.0.1:{proxy.port}/shared", secrets.token_hex(8)
    running = _inside(collector(dsn, tmp_path, port), inside)
    running.start()
    senders = [Sender(running.said, name, spans=80, pause_s=0) for _ in range(4)]
    proxy.always("away")
    for sender in senders:
        sender.start()
    try:
        log = tmp_path / "collector.log"
        wait_until(lambda: "No space left on device" in log.read_text(), "the disk is full")
        running.kill()
        running.start()
        for sender in senders:
            sender._stop_asked.set()
        proxy.always("")
        for sender in senders:
            sender.stop()
        acknowledged = [span_id for sender in senders for span_id in sender.acknowledged]
        wait_until(lambda: pending_bytes(running.said) == 0, "all is shipped")
        result = compare(acknowledged, stored(shared_server, name))
        assert (result["lost"], result["doubled"], result["unacknowledged"]) == (0, 0, 0), result
    finally:
        running.kill()


def _inside(process: Process, before: list[str]) -> Process:
    process._command[:0] = before
    return process


def test_a_start_on_a_full_disk_is_no_trouble_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock's file cannot take the process id then; what is in the journal must be shipped to make room."""
    first = Journal(settings)
    first.open()
    commit(first, [b"one"])
    first.close()
    disk = BadDisk(random.Random(0))
    monkeypatch.setattr("faasight_collector.writer.os", disk)
    monkeypatch.setattr(disk, "pwrite", _failing(OSError(errno.ENOSPC, "No space left on device")), raising=False)
    again = Journal(settings)
    again.open()
    assert all_records(again) == Counter([b"one"])
    again.close()


def test_a_journal_that_cannot_be_used_is_one_clear_sentence(settings: Settings) -> None:
    settings.journal_dir.write_text("a file, where a folder should be")
    with pytest.raises(Exception, match=r"The journal .* cannot be used: .*FAASIGHT_JOURNAL") as caught:
        Journal(settings).open()
    assert type(caught.value).__name__ == "JournalError"
