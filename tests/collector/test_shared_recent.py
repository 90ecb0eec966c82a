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
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60).returncode == -9
    assert open_shared("two").claim([A]) == (set(), {A})


def test_after_a_start_of_the_machine_it_begins_anew(open_shared: Open, tmp_path: Path) -> None:
    """It is not synced: a crash of the machine may have left half of it."""
    before = open_shared("one", boot_id="before")
    before.claim([A])
    before.keep([A])
    before.close()
    assert open_shared("one", boot_id="after").claim([A]) == (set(), set())
    assert [path.name for path in (tmp_path / "recent").iterdir()] == ["after"]


def test_what_cannot_be_told_to_others_is_remembered_here(open_shared: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is safe already: to write it again would be worse than that the others do not know it."""
    shared = open_shared("one")
    shared.claim([A])
    with monkeypatch.context() as patch:
        patch.setattr(SharedDigests, "_remember", lambda *_: (_ for _ in ()).throw(lmdb.MapFullError))
        shared.keep([A])
    assert shared.claim([A]).known == {A}


def test_a_file_that_is_none_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "recent" / "boot"
    path.mkdir(parents=True)
    (path / "data.mdb").write_bytes(b"\xff" * 20_000)
    with pytest.raises(JournalError, match="delete that folder"):
        SharedDigests(tmp_path, "one", boot_id="boot")
