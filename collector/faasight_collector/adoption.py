"""Takes over journals that nobody has open.

Such are those of a worker that crashed or is no longer wanted, of a machine that was lost, and those that `faasight
dead-letters retry` hands over. A journal belongs to whoever holds the lock of its directory, and the kernel frees the
lock of a dead process. So what can be locked can be adopted. Its segments keep their ids, their deduplication tokens.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import structlog

from faasight_collector.dead_letters import FOLDER as LETTERS
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.errors import JournalError, JournalLockedError
from faasight_collector.journal import Journal
from faasight_collector.recovery import latest_digests, recover
from faasight_collector.segments import SIGNALS
from faasight_collector.settings import Settings
from faasight_collector.shared_recent import SharedDigests
from faasight_collector.writer import lock_directory

log = structlog.get_logger()

WORKER = "worker-"  # begins the name of a worker's journal
HANDED = "handed-"  # begins the name of a journal that was made to be adopted


class Adopter:
    """Looks for such journals when it is called, and brings what they hold into its own."""

    def __init__(self, settings: Settings, journal: Journal, letters: DeadLetters) -> None:
        self._settings = settings
        self._journal = journal
        self._letters = letters
        self._failing: set[Path] = set()

    def __call__(self) -> None:
        """Adopt what can be adopted; what fails is tried again at the next call."""
        for directory in candidates(self._settings):
            try:
                self._adopt(directory)
            except JournalLockedError:
                continue  # somebody has it, as it should be
            except OSError as error:
                if directory not in self._failing:
                    log.error("a journal cannot be adopted; trying again", journal=str(directory), error=str(error))
                self._failing.add(directory)
        with contextlib.suppress(JournalError):  # it has been told already
            self._journal.tell_neighbours()
        self._letters.recount()  # people delete some, and hand others in again
        self._journal.inventory.count_dead_letters(self._letters.bytes)

    def _adopt(self, directory: Path) -> None:
        unlock = lock_directory(directory)
        try:
            segments = self._journal.adopt(directory)
            letters = self._letters.adopt(directory / LETTERS)
            if directory.name.startswith(HANDED):
                shutil.rmtree(directory, ignore_errors=True)
        finally:
            unlock()
        self._failing.discard(directory)
        log.info("journal adopted", journal=str(directory), segments=segments, dead_letters=letters)


def remember(settings: Settings, now: float) -> None:
    """Tell the workers' shared memory what all their journals hold, before any of them takes requests; `now` in Unix s.

    A start of the machine has emptied it, and the first worker that is ready may get again what another one wrote. What
    workers had claimed that are no longer wanted is free then, too. Raises JournalError.
    """
    home = settings.home or settings.journal_dir
    memory = SharedDigests(home, "supervisor")
    try:
        for directory in sorted({*candidates(settings), *home.glob(f"{WORKER}*")}):
            try:
                unlock = lock_directory(directory)
                try:
                    found = recover(directory, now=now, keep_s=settings.keep_shipped_s)
                    memory.recovered(str(directory.resolve()), latest_digests(found))
                finally:
                    unlock()
            except JournalLockedError:
                continue  # of a worker that still runs, and has told
            except OSError as error:
                log.warning(
                    "a journal cannot be read; who has it will say more", journal=str(directory), error=str(error)
                )
        memory.settle()
    finally:
        memory.close()


def candidates(settings: Settings) -> Iterator[Path]:
    """Yield the journals near to ours, and under `settings.adopt`, that hold anything, whoever has them open.

    And what is left of those handed over: whoever emptied one was killed before it could delete it.
    """
    own = settings.journal_dir.resolve()
    for home in (settings.home or settings.journal_dir, settings.adopt):
        if home is None:
            continue
        with contextlib.suppress(FileNotFoundError):
            near = sorted(path for path in home.iterdir() if path.name.startswith((WORKER, HANDED)))
            for path in (home, *near):
                if path.resolve() != own and (path.name.startswith(HANDED) or _holds_something(path)):
                    yield path


def _holds_something(directory: Path) -> bool:
    return any(next((directory / signal).glob("*-*.*"), None) for signal in SIGNALS) or any(
        (directory / LETTERS).glob("*.*")
    )
