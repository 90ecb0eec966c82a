"""What an earlier process left in the journal directory, made ready to ship."""

import errno
import os
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import structlog

from faasight_collector.recent import GENERATION
from faasight_collector.segments import SIGNALS, Damage, Segment, digests, scan
from faasight_collector.writer import sync_directory

log = structlog.get_logger()

_COPY = ".copy"  # ends the name of a file that is being copied from another disk


def recover(directory: Path, *, now: float | None, keep_s: float) -> list[Segment]:
    """Return all segments to ship, oldest first.

    Open segments lose their torn tail and are sealed. Shipped ones younger than `keep_s` are shipped again (their
    tokens make that harmless), older ones are deleted. With `now` as None, that age is counted to the last thing that
    the earlier process wrote: a machine that lost its power may be off for a night.
    """
    found: list[Segment] = []
    now = _last_written(directory) if now is None else now
    for signal in SIGNALS:
        folder = directory / signal
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in sorted(folder.iterdir()):
            segment = _ready(signal, path, now=now, keep_s=keep_s)
            if segment is not None:
                found.append(segment)
        sync_directory(folder)
    found.sort(key=lambda segment: segment.id)
    return found


def latest_digests(segments: list[Segment]) -> Iterator[bytes]:
    """Yield the digests of the newest segments, as many as are worth remembering, oldest first."""
    newest: deque[bytes] = deque()
    for segment in reversed(segments):
        newest.extendleft(reversed(deque(digests(segment.path), maxlen=GENERATION)))
        if len(newest) >= GENERATION:
            break
    return iter(newest)


def take(segment: Segment, folder: Path) -> Segment | None:
    """Bring a segment into another journal's folder; None if that has it already. Raises OSError.

    If the two are on different disks it may be in both for a moment: it has one id, and is stored once.
    """
    target = folder / segment.path.name
    copy = folder / f"{segment.path.name}{_COPY}"
    if any(path.suffix != _COPY for path in folder.glob(f"{segment.id}.*")):  # a copy that broke off is no segment
        segment.path.unlink()
        copy.unlink(missing_ok=True)
        return None
    try:
        segment.path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(segment.path, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        copy.rename(target)
        try:
            sync_directory(folder)
            segment.path.unlink()
        except OSError:  # what is in both places counts as taken: nobody would ship it before the next start
            target.unlink()
            raise
    return replace(segment, path=target)


def _ready(signal: str, path: Path, *, now: float, keep_s: float) -> Segment | None:
    if path.suffix == ".open":
        return _seal(signal, path)
    if path.suffix == ".done":
        return _again(signal, path, now=now, keep_s=keep_s)
    if path.suffix in {".sealed", ".split"}:
        return _segment(signal, path)
    if path.suffix == _COPY:  # of a segment whose adoption broke off: the first is still where it was
        path.unlink()
    return None


def _last_written(directory: Path) -> float:
    """Return when the newest segment was written or shipped (Unix seconds), 0 without any."""
    return max((path.stat().st_mtime for signal in SIGNALS for path in (directory / signal).glob("*-*")), default=0.0)


def _segment(signal: str, path: Path, *, shipped_ns: int = 0) -> Segment:
    created = path.stem.partition("-")[0]
    return Segment(
        signal,
        path.name.partition(".")[0],
        path,
        path.stat().st_size,
        int(created) if created.isdigit() else int(path.stat().st_mtime * 1000),
        split=".split" in path.suffixes,
        shipped_ns=shipped_ns,
    )


def _again(signal: str, path: Path, *, now: float, keep_s: float) -> Segment | None:
    shipped_ns = path.stat().st_mtime_ns
    if abs(now - shipped_ns / 1e9) > keep_s:  # or the clock was wrong then, or is now: nobody knows how long ago it was
        path.unlink()
        return None
    return _segment(signal, path, shipped_ns=shipped_ns)


def _seal(signal: str, path: Path) -> Segment | None:
    """Cut a torn tail off, and give the file its final name; damage in the middle stays for the shipper to report."""
    data = path.read_bytes()
    end = len(data)
    for item in scan(data):
        if isinstance(item, Damage) and item.torn:
            end = item.offset
            log.warning("journal tail was torn", segment=path.stem, bytes_cut=len(data) - end)
    if not end:
        path.unlink()
        return None
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sealed = path.with_suffix(".sealed")
    path.rename(sealed)
    return _segment(signal, sealed)
