"""An adoption that is killed or fails at any of its steps, and two adopters at once: everything is there once."""

import errno
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from faasight_collector import Settings
from faasight_collector.adoption import Adopter
from faasight_collector.dead_letters import FOLDER, DeadLetters
from faasight_collector.dead_letters import read as letters_of
from faasight_collector.handover import hand_over
from faasight_collector.journal import Journal
from faasight_collector.segments import Record, digest_of, encode_header, scan

MAX_STEPS = 200


class KilledError(BaseException):
    """Ends what is under way as a SIGKILL would: nobody catches it."""


def _left_behind(home: Path, name: str, *payloads: bytes) -> None:
    """Leave a journal as a killed worker does: each payload in a segment of its own, and a dead letter."""
    folder = home / name / "traces"
    folder.mkdir(parents=True)
    for n, payload in enumerate(payloads):
        record = encode_header(payload, digest_of("traces", payload)) + payload
        (folder / f"170000000000{n}-{name}-000001{('.open', '.sealed', '.split')[n % 3]}").write_bytes(record)
    DeadLetters(home / name / FOLDER, lambda: 0.0).keep("traces", f"poison-{name}", name.encode(), "no message")


@dataclass
class Worker:
    """One that adopts what it finds."""

    journal: Journal
    adopt: Adopter

    @classmethod
    def at(cls, settings: Settings, home: Path, number: int) -> "Worker":
        """Open the journal of one of two workers, and what an earlier process left there."""
        return cls.of(replace(settings, journal_dir=home / f"worker-{number}", home=home, worker=number, workers=2))

    @classmethod
    def of(cls, settings: Settings) -> "Worker":
        """Open a journal, and what an earlier process left there."""
        own = replace(settings, store_is_shared=True)
        journal = Journal(own)
        journal.open()
        letters = DeadLetters(own.journal_dir / FOLDER, lambda: 0.0)
        return cls(journal, Adopter(own, journal, letters))

    def waiting(self) -> list[bytes]:
        """Return what it will ship."""
        segments = self.journal.inventory._waiting["traces"]
        return [
            bytes(item.payload)
            for segment in segments
            for item in scan(segment.path.read_bytes())
            if isinstance(item, Record)
        ]


@contextmanager
def _failing_at(step: int, error: Callable[[], BaseException]) -> Iterator[list[str]]:
    """Fail the `step`-th change of the disk from 0, before it is made; the list tells which changes there were."""
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
            (Path, "mkdir"),
            (shutil, "copy2"),
            (shutil, "rmtree"),
        ):
            plain = getattr(owner, name)

            def change(*given: Any, plain: Any = plain, name: str = name, **more: Any) -> Any:
                if threading.current_thread() is not threading.main_thread():
                    return plain(*given, **more)
                made.append(name)
                if len(made) == step + 1:
                    raise error()
                return plain(*given, **more)

            patch.setattr(owner, name, change)
        yield made


def _across_disks(home: Path, patch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def crossing(path: Path, target: Path) -> Path:
        if path.parent.parent != Path(target).parent.parent and path.is_relative_to(home) and path.is_file():
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    patch.setattr(Path, "rename", crossing)


def _full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("other_disk", [False, True], ids=["same disk", "other disk"])
@pytest.mark.parametrize("error", [KilledError, _full], ids=["killed", "disk full"])
def test_an_adoption_that_ends_at_any_step_is_gone_on_with(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Callable[[], BaseException],
    other_disk: bool,
) -> None:
    for step in range(MAX_STEPS):
        home = tmp_path / f"step-{step}"
        _left_behind(home, "worker-7", b"one", b"two")
        _left_behind(home, "worker-9", b"three")
        retried = DeadLetters(home / "worker-8" / FOLDER, lambda: 0.0)
        retried.keep("traces", "again-0", b"handed in", "no message")
        hand_over(list(letters_of(home / "worker-8" / FOLDER)), home)
        with monkeypatch.context() as patch:
            if other_disk:
                _across_disks(home, patch)
            worker = Worker.at(settings, home, 1)
            with _failing_at(step, error) as changes:
                try:
                    worker.adopt()
                except KilledError:
                    worker.journal.close()
                    worker = Worker.at(settings, home, 1)
            for _ in range(2):
                worker.adopt()
            assert Counter(worker.waiting()) == Counter([b"one", b"two", b"three", b"handed in"]), changes
            assert {letter.name for letter in letters_of(home / "worker-1" / FOLDER)} == {
                "poison-worker-7",
                "poison-worker-9",
            }
            worker.journal.close()
        assert not [path for path in home.glob("worker-[789]/*/*") if path.is_file()]
        assert not list(home.glob("handed-*")), changes  # nor an empty folder of it
        shutil.rmtree(home)
        if len(changes) <= step:  # it came to its end: there are no more steps
            return
    raise AssertionError(f"an adoption of four segments takes more than {MAX_STEPS} changes of the disk")


def test_two_adopters_at_once_take_everything_once(settings: Settings, tmp_path: Path) -> None:
    """They are two collectors with one folder of journals to adopt: its volume is attached to both machines."""
    home, count = tmp_path / "lost", 12
    workers = [Worker.of(replace(settings, journal_dir=tmp_path / name, adopt=home)) for name in ("one", "two")]
    for n in range(3, 3 + count):
        _left_behind(home, f"worker-{n}", *(f"{n}-{i}".encode() for i in range(3)))
        retried = DeadLetters(home / "retried" / FOLDER, lambda: 0.0)
        retried.keep("traces", f"again{n}-0", f"handed {n}".encode(), "no message")
        hand_over(list(letters_of(home / "retried" / FOLDER)), home)
    together = threading.Barrier(2)

    def adopt(worker: Worker) -> None:
        together.wait(180)
        for _ in range(3):
            worker.adopt()

    threads = [threading.Thread(target=adopt, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workers[0].adopt()  # what one of them could not lock, because the other just let go of it
    taken = Counter(payload for worker in workers for payload in worker.waiting())
    wanted = [f"{n}-{i}".encode() for n in range(3, 3 + count) for i in range(3)]
    assert taken == Counter([*wanted, *(f"handed {n}".encode() for n in range(3, 3 + count))])
    kept = Counter(letter.name for name in ("one", "two") for letter in letters_of(tmp_path / name / FOLDER))
    assert kept == Counter(f"poison-worker-{n}" for n in range(3, 3 + count))
    assert not list(home.glob("handed-*"))
    for worker in workers:
        worker.journal.close()
