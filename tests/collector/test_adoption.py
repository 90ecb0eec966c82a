"""Journals that nobody has open are taken over, and what is in them is stored once."""

import errno
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from faasight_collector import Collector, Settings
from faasight_collector.adoption import remember
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.journal import Journal
from faasight_collector.segments import Record, Segment, digest_of, encode_header, scan
from faasight_collector.shared_recent import SharedDigests
from faasight_collector.writer import lock_directory
from faasight_store import Store

Eventually = Callable[[Callable[[], object]], None]
MakeTraces = Callable[..., bytes]
StartCollector = Callable[..., Collector]

FIND = "SELECT lower(hex(span_id)) FROM spans WHERE name = {name:String} ORDER BY 1"


def left_behind(directory: Path, payloads: list[bytes], state: str = ".open") -> str:
    """Leave a segment as a killed process does, and return its id."""
    folder = directory / "traces"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{int(time.time() * 1000)}-{secrets.token_hex(8)}-000001"
    (folder / f"{name}{state}").write_bytes(
        b"".join(encode_header(payload, digest_of("traces", payload)) + payload for payload in payloads)
    )
    return name


def post(collector: Collector, body: bytes) -> None:
    headers = {"content-type": "application/x-protobuf"}
    assert requests.post(f"http://{collector.http_address}/v1/traces", body, headers=headers, timeout=180).ok


def contents(segment: Segment) -> list[bytes]:
    return [bytes(item.payload) for item in scan(segment.path.read_bytes()) if isinstance(item, Record)]


def waiting(collector: Collector) -> list[bytes]:
    return [payload for segment in [*collector.journal.inventory._waiting["traces"]] for payload in contents(segment)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder over the journals of several workers."""
    return tmp_path / "journals"


def worker(home: Path, number: int, workers: int = 2) -> dict[str, object]:
    return {
        "journal_dir": home / f"worker-{number}",
        "home": home,
        "worker": number,
        "workers": workers,
        "adopt_every_s": 0.05,
        "store_is_shared": True,
    }


def test_a_crashed_workers_journal_is_adopted(
    shared_store: Store, start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually, home: Path
) -> None:
    """Whatever state its segments were in; its dead letters too."""
    name, ids = secrets.token_hex(8), [secrets.token_bytes(8) for _ in range(6)]
    bodies = [make_traces(name=name, ids=ids[n : n + 2]) for n in (0, 2, 4)]
    lost = home / "worker-2"
    for body, state in zip(bodies, (".open", ".sealed", ".split"), strict=True):
        left_behind(lost, [body], state)
    DeadLetters(lost / "dead-letters", lambda: 0.0).keep("traces", "poison-0", b"\xff", "no message")
    collector = start_collector(shared_store, **worker(home, 1))
    eventually(
        lambda: [row[0] for row in shared_store.query(FIND, {"name": name})] == sorted(span_id.hex() for span_id in ids)
    )
    eventually(lambda: collector.journal.inventory.usage().pending == 0)
    assert not list((lost / "traces").iterdir())
    assert (home / "worker-1" / "dead-letters" / "poison-0.bin").read_bytes() == b"\xff"
    assert not list((lost / "dead-letters").iterdir())
    eventually(lambda: collector.journal.inventory.usage().dead_letters > 0)


def test_what_was_in_an_adopted_journal_is_known_when_it_comes_again(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually, home: Path
) -> None:
    """The client got no answer from the worker that was killed, and sends to another one."""
    body = make_traces()
    left_behind(home / "worker-2", [body])
    collector = start_collector(**worker(home, 1))
    eventually(lambda: waiting(collector) == [body])
    post(collector, body)
    collector.journal.seal_all()
    other = make_traces()
    post(collector, other)
    eventually(lambda: len(waiting(collector)) > 1)
    assert waiting(collector) == [body, other]


def test_what_a_killed_worker_may_have_written_waits_until_that_is_known(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually, home: Path
) -> None:
    """It had claimed the request: whether it wrote it, its journal tells, and until then nobody else may."""
    written, unwritten = make_traces(), make_traces()
    left_behind(home / "worker-2", [written])
    claims = [digest_of("traces", body) for body in (written, unwritten)]
    _claim(home, "worker-2", claims)
    held = lock_directory(home / "worker-2")  # as if its next process were just starting
    collector = start_collector(**worker(home, 1))
    headers, url = {"content-type": "application/x-protobuf"}, f"http://{collector.http_address}/v1/traces"
    for body in (written, unwritten):
        answer = requests.post(url, body, headers=headers, timeout=180)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    held()
    for body in (written, unwritten):
        eventually(lambda body=body: requests.post(url, body, headers=headers, timeout=180).ok)
    collector.journal.seal_all()
    eventually(lambda: sorted(waiting(collector)) == sorted([written, unwritten]))


def _claim(home: Path, worker: str, claims: list[bytes]) -> None:
    """Claim requests as a worker that is killed before it tells how that ended."""
    code = (
        "import sys; from pathlib import Path\n"
        "from faasight_collector.shared_recent import SharedDigests\n"
        "home, owner, *claims = sys.argv[1:]\n"
        "SharedDigests(Path(home), owner).claim([bytes.fromhex(claim) for claim in claims])\n"
    )
    owner = str((home / worker).resolve())
    command = [sys.executable, "-c", code, str(home), owner, *(claim.hex() for claim in claims)]
    subprocess.run(command, check=True, timeout=180)


def test_before_workers_start_all_that_their_journals_hold_is_known(
    settings: Settings, make_traces: MakeTraces, home: Path
) -> None:
    """After a start of the machine nothing is remembered; and whoever claimed a request may never be started again."""
    written, torn, claimed = (make_traces() for _ in range(3))
    name = left_behind(home / "worker-2", [written, torn])
    path = home / "worker-2" / "traces" / f"{name}.open"
    path.write_bytes(path.read_bytes()[:-1])
    (home / "worker-3").mkdir()
    _claim(home, "worker-3", [digest_of("traces", claimed)])
    remember(replace(settings, journal_dir=home / "worker-1", home=home, worker=1), time.time())
    memory = SharedDigests(home, "the first that is ready")
    names = [digest_of("traces", body) for body in (written, torn, claimed)]
    assert memory.claim(names) == ({names[0]}, set())
    memory.close()


def test_the_journal_of_a_living_worker_is_left_alone(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually, home: Path
) -> None:
    left_behind(home / "worker-2", [make_traces()], ".sealed")
    living = Journal(Settings(journal_dir=home / "worker-2", segment_age_s=3600))
    living.open()
    collector = start_collector(**worker(home, 1))
    body = make_traces()
    left_behind(home / "worker-3", [body])  # adopted after the other was looked at
    eventually(lambda: waiting(collector) == [body])
    assert len(list((home / "worker-2" / "traces").iterdir())) == 1
    living.close()
    eventually(lambda: len(waiting(collector)) == 2)


def test_a_single_collector_adopts_what_workers_left_and_the_other_way_round(
    start_collector: StartCollector, make_traces: MakeTraces, eventually: Eventually, home: Path
) -> None:
    first, second = make_traces(), make_traces()
    left_behind(home / "worker-7", [first])
    alone = start_collector(journal_dir=home, home=home, adopt_every_s=0.05)
    eventually(lambda: waiting(alone) == [first])
    alone.stop()
    left_behind(home, [second])
    again = start_collector(**worker(home, 1))
    eventually(lambda: sorted(waiting(again)) == sorted([first, second]))


@pytest.mark.parametrize("other_disk", [False, True])
def test_the_journal_of_a_lost_machine_is_adopted(
    start_collector: StartCollector,
    make_traces: MakeTraces,
    eventually: Eventually,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other_disk: bool,
) -> None:
    """Its volume is attached here, most likely as another file system, with one journal or several in it."""
    if other_disk:
        _refuse_renames_out_of(tmp_path / "lost", monkeypatch)
    bodies = [make_traces() for _ in range(2)]
    left_behind(tmp_path / "lost", bodies[:1])
    left_behind(tmp_path / "lost" / "worker-1", bodies[1:])
    collector = start_collector(adopt=tmp_path / "lost", adopt_every_s=0.05)
    eventually(lambda: sorted(waiting(collector)) == sorted(bodies))
    assert not list((tmp_path / "lost").glob("**/*-*.*"))


def _refuse_renames_out_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def crossing(path: Path, target: Path) -> Path:
        if path.is_relative_to(folder) and not Path(target).is_relative_to(folder):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", crossing)


def test_an_adoption_that_broke_off_between_two_disks_stores_nothing_twice(
    settings: Settings, make_traces: MakeTraces, tmp_path: Path
) -> None:
    """The copy was complete, and the first was not deleted: both have one id, and one of them goes."""
    body = make_traces()
    name = left_behind(tmp_path / "lost", [body], ".sealed")
    here = settings.journal_dir / "traces"
    here.mkdir(parents=True)
    (here / f"{name}.sealed").write_bytes((tmp_path / "lost" / "traces" / f"{name}.sealed").read_bytes())
    (here / f"{name}9.sealed.copy").write_bytes(b"half of another")
    journal = Journal(replace(settings, store_is_shared=True))
    journal.open()
    journal.adopt(tmp_path / "lost")
    assert [contents(segment) for segment in journal.inventory._waiting["traces"]] == [[body]]
    assert [path.name for path in here.iterdir()] == [f"{name}.sealed"]
    assert not list((tmp_path / "lost" / "traces").iterdir())
    journal.close()


def test_a_copy_between_two_disks_that_broke_off_is_made_again(
    settings: Settings, make_traces: MakeTraces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk here was full for a while: the half that was copied is not the segment."""
    body = make_traces()
    name = left_behind(tmp_path / "lost", [body], ".sealed")
    journal = Journal(replace(settings, store_is_shared=True))
    journal.open()
    _refuse_renames_out_of(tmp_path / "lost", monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", _copy_half)
        with pytest.raises(OSError, match="No space"):
            journal.adopt(tmp_path / "lost")
    journal.adopt(tmp_path / "lost")
    assert [contents(segment) for segment in journal.inventory._waiting["traces"]] == [[body]]
    assert [path.name for path in (settings.journal_dir / "traces").iterdir()] == [f"{name}.sealed"]
    assert not list((tmp_path / "lost" / "traces").iterdir())
    journal.close()


def _copy_half(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes()[:20])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_worker_waits_for_the_neighbour_that_empties_its_journal(settings: Settings, home: Path) -> None:
    unlock = lock_directory(home / "worker-1")
    threading.Timer(0.2, unlock).start()
    journal = Journal(replace(settings, journal_dir=home / "worker-1", home=home, worker=1))
    journal.open()
    journal.close()
