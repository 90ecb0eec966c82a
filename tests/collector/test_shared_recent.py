"""Workers of one machine know each other's requests: sent again to another one, a request is stored once."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest
from faasight_collector.errors import JournalError
from faasight_collector.shared_recent import SharedDigests

Open = Callable[..., SharedDigests]
A, B, C = (bytes([n]) * 16 for n in range(3))


@pytest.fixture
def open_shared(tmp_path: Path) -> Iterator[Open]:
    """Open the memory of `tmp_path` as a process of another name would; one process may open a file once only."""
    opened: list[SharedDigests] = []

    def open_one(owner: str, **more: object) -> SharedDigests:
        for before in opened:
            before.close()
        opened.append(SharedDigests(tmp_path, owner, **more))  # type: ignore[arg-type]  # the tests name real arguments
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_what_one_wrote_another_knows(open_shared: Open) -> None:
    one = open_shared("one")
    assert one.claim([A, B]) == (set(), set())
    one.keep([A, B])
    assert open_shared("two").claim([A, C]) == ({A}, set())


def test_what_one_began_to_write_another_leaves_alone_until_it_is_known_how_it_ended(open_shared: Open) -> None:
    open_shared("one").claim([A, B])
    two = open_shared("two")
    assert two.claim([A, B]) == (set(), {A, B})
    two.recovered("one", [A])  # its journal was found to hold A, and not B
    assert two.claim([A, B]) == ({A}, set())


def test_what_one_could_not_write_another_may(open_shared: Open) -> None:
    one = open_shared("one")
    one.claim([A, B])
    one.release([A])
    one.keep([B])
    one.release([B])  # too late: it is safe
    assert open_shared("two").claim([A, B]) == ({B}, set())


def test_recovery_voids_the_claims_of_that_journal_alone(open_shared: Open) -> None:
    open_shared("one").claim([A])
    open_shared("two").claim([B])
    three = open_shared("three")
    three.recovered("one", [])
    assert three.claim([A, B]) == (set(), {B})


def test_the_oldest_half_is_forgotten(open_shared: Open) -> None:
    names = [n.to_bytes(16, "big") for n in range(25)]
    shared = open_shared("one", generation=10)
    for name in names:
        shared.claim([name])
        shared.keep([name])
    known, busy = shared.claim(names)
    assert known == set(names[10:])
    assert not busy


def test_a_killed_process_leaves_its_claims_and_no_lock(tmp_path: Path, open_shared: Open) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from faasight_collector.shared_recent import SharedDigests\n"
        "shared = SharedDigests(Path(sys.argv[1]), 'killed')\n"
        "shared.claim([bytes(16)])\n"
        "shared._lmdb.begin(write=True)\n"  # holds the writers' lock
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=180).returncode == -9
    assert open_shared("two").claim([A]) == (set(), {A})


def test_after_a_start_of_the_machine_it_begins_anew(open_shared: Open, tmp_path: Path) -> None:
    """It is not synced: a crash of the machine may have left half of it."""
    before = open_shared("one", boot_id="before")
    before.claim([A])
    before.keep([A])
    before.close()
    assert open_shared("one", boot_id="after").claim([A]) == (set(), set())
    assert [path.name for path in (tmp_path / "recent").iterdir()] == ["after"]


def full(*_: object) -> None:
    raise lmdb.DiskError("No space left on device")


def test_what_cannot_be_told_to_others_is_told_when_there_is_room_again(
    open_shared: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then nothing is claimed; told late, what is safe is known to others, and what is not is theirs to write."""
    shared = open_shared("one")
    shared.claim([A, B])
    with monkeypatch.context() as patch:
        patch.setattr(SharedDigests, "_remember", full)
        patch.setattr(SharedDigests, "_void", full)
        shared.keep([A])
        shared.release([B])
        with pytest.raises(JournalError, match="No space left"):
            shared.claim([C])
    shared.settle()
    assert open_shared("two").claim([A, B, C]) == ({A}, set())


def test_a_full_disk_is_one_sentence_and_over_when_there_is_room(open_shared: Open, tmp_path: Path) -> None:
    """A real one, as LMDB meets it: the process may write no further than the file reaches."""
    code = (
        "import os, resource, sys; from pathlib import Path\n"
        "from faasight_collector.errors import JournalError\n"
        "from faasight_collector.shared_recent import SharedDigests\n"
        "shared = SharedDigests(Path(sys.argv[1]), 'one')\n"
        "names = [os.urandom(16) for _ in range(20_000)]\n"
        "shared.claim(names)\n"
        "size, (_, hard) = next(Path(sys.argv[1]).rglob('data.mdb')).stat().st_size, resource.getrlimit(1)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))\n"
        "shared.keep(names)\n"
        "shared.recovered('two', [bytes(16)])\n"
        "try:\n"
        "    shared.claim([bytes([1]) * 16])\n"
        "except JournalError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))\n"
        "print(*map(len, shared.claim([bytes(16), *names])))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=180)
    said = ran.stdout.splitlines()
    assert "recent/" in said[-2], ran
    assert "cannot be written" in said[-2]
    assert said[-1] == "20001 0"
    assert open_shared("two").claim([A]) == ({A}, set())


def test_a_file_that_is_none_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "recent" / "boot"
    path.mkdir(parents=True)
    (path / "data.mdb").write_bytes(b"\xff" * 20_000)
    with pytest.raises(JournalError, match="delete that folder"):
        SharedDigests(tmp_path, "one", boot_id="boot")
