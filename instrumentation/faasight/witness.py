"""A note in the temporary folder of what runs: the next process in this sandbox finds who was killed, and reports it.

Nothing in a process can tell of its own SIGKILL (out of memory, the time limit, a crash in C). But AWS keeps /tmp when
it resets a sandbox (Lambda developer guide, "Failures during the invoke phase"). So each invocation writes a record of
itself before the handler runs and blots it out after its report: two system calls. The lock on the file ends with its
process; a record in a file that nobody locks is of an invocation that never came to its end.

`pwrite` and no memory map: a full disk would answer a write into a map with SIGBUS, which ends the function.
"""

from __future__ import annotations

import os

from faasight.complain import complaints
from faasight.spans import UNSET, Span, Unread, now_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from faasight.invocation import Facts
    from faasight.triggers.recognise import Essence

_SLOT = 2_048  # bytes of a record: half a page, which the kernel writes wholly or not at all
_SLOTS = 64  # invocations at once in one process; further ones have no record
_FILES = 64  # processes at once with one temporary folder and one name
_OFFSET = 5_115_115_115  # where our descriptor stands, and nobody else's: what we read and write says itself where
_RUNNING, _ENDED = b"R", b"\0"
_KEPT = 24  # bytes beyond the records, for each: when it ended, if it is held (holding.py)
_KEPT_FROM = _SLOT * _SLOTS
_ESSENTIAL = ("faas.invocation_id", "faas.coldstart", "faas.trigger", "faasight.init_type", "faasight.timeout_ms")
_HEX = frozenset("0123456789abcdef")


class Witness:
    """The records of one process. Until `open` nothing is written, and after a failure to write nothing more."""

    def __init__(self, name: str) -> None:
        """`name` of the function: another one's records are not ours to report."""
        self._name = "".join(c if c.isascii() and c.isalnum() else "-" for c in name[:64])
        self._free: list[int] = []
        self._kept: set[int] = set()
        self._file = -1
        self._pid = 0
        self._taken: list[int] = []  # files with what `open` has found
        self.to_open = False

    def reset(self) -> None:
        """Leave the file to the parent, in a forked child: with its first invocation it needs one of its own."""
        if self._is_ours():
            os.close(self._file)
        if self._file >= 0:
            self._leave()

    def _leave(self) -> None:
        """Have a file opened anew with the next invocation."""
        self._file, self._free, self._kept, self.to_open = -1, [], set(), True

    def _is_ours(self) -> bool:
        """Whether the descriptor is our file still: a function may close all, and its next file takes the number."""
        if self._file < 0:
            return False
        try:
            return os.lseek(self._file, 0, os.SEEK_CUR) == _OFFSET  # a third of what `fstat` costs
        except OSError:
            return False

    def open(self, began: int) -> list[Span]:
        """Take the first file that is free, and return what was killed. `began`: when this process did, ns.

        Nothing is written until `settle` says that it is reported.
        """
        self.to_open = False
        self._pid = os.getpid()
        killed: list[Span] = []
        try:
            for i in range(_FILES):
                file = self._lock(i)
                if file is None:
                    break
                if file >= 0:
                    self._taken.append(file)
                    if self._file < 0:
                        self._file = file
                        os.lseek(file, _OFFSET, os.SEEK_SET)
                    killed += self._read(file, began)
        except (OSError, AttributeError) as error:  # AttributeError: a system without such locks
            complaints.say(f"killed invocations are not noted: {type(error).__name__}: {error}")
        return killed

    def _lock(self, i: int) -> int | None:
        """Open and lock the file: -1 if it is another's, None if there is none."""
        path = f"{os.environ.get('TMPDIR') or '/tmp'}/faasight-{self._name}-{i}"  # noqa: S108 - its owner is looked at
        create = os.O_CREAT if self._file < 0 else 0
        try:
            file = os.open(path, os.O_RDWR | create | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except FileNotFoundError:
            return None  # or there is no such folder
        except OSError:  # somebody else's, or a link
            return -1
        status = os.fstat(file)
        if file > 2 and status.st_uid == os.geteuid() and status.st_mode & 0o170077 == 0o100000:  # a file, ours alone
            try:
                os.lockf(file, os.F_TLOCK, 0)
            except OSError:
                pass
            else:
                return file
        os.close(file)  # and not one of 0, 1, 2, which were closed: what others write there would come to us
        return -1

    def settle(self) -> None:
        """Forget what `open` has returned, and begin to write."""
        while self._taken:
            file = self._taken.pop()
            os.ftruncate(file, 0)
            if file == self._file:
                self._free = list(range(_SLOTS - 1, -1, -1))
            else:
                os.close(file)

    def begin(self, span: Span, deadline_ns: int) -> int:
        """Note that an invocation runs; return its slot, -1 if it has none. `deadline_ns` since the epoch, 0: none."""
        if not self._free:
            return -1
        try:
            record = _write(span, deadline_ns, self._pid)
            if len(record) > _SLOT:
                return -1
            if not self._is_ours():
                self._leave()
                return -1
            slot = self._free.pop()  # one step under the GIL
            os.pwrite(self._file, record, slot * _SLOT)
        except Exception:  # noqa: BLE001 - a full disk, a name that cannot be printed: it runs without a record
            return -1
        return slot

    def end(self, slot: int) -> None:
        """Note that the invocation of `slot` is reported."""
        if slot < 0 or self._file < 0:
            return
        if not self._is_ours():
            self._leave()
            return
        try:
            os.pwrite(self._file, _ENDED, slot * _SLOT)
        except OSError:
            return
        if slot in self._kept:
            self._kept.discard(slot)
            try:
                os.pwrite(self._file, bytes(_KEPT), _KEPT_FROM + slot * _KEPT)
            except OSError:
                return
        self._free.append(slot)

    def keep(self, slot: int, end_ns: int) -> bool:
        """Note that the invocation of `slot` ended well, and is reported later; False if that cannot be noted."""
        if slot < 0 or not self._is_ours():
            return False
        try:
            os.pwrite(self._file, b"E%020d" % end_ns, _KEPT_FROM + slot * _KEPT)
        except OSError:
            return False
        self._kept.add(slot)
        return True

    @staticmethod
    def _read(file: int, began: int) -> Iterator[Span]:
        data = os.pread(file, _SLOT * _SLOTS, 0)
        kept = os.pread(file, _KEPT * _SLOTS, _KEPT_FROM)
        for start in range(0, len(data), _SLOT):
            if data[start : start + 1] == _RUNNING:
                span = _parse(data[start + 1 : start + _SLOT], began)
                if span is not None:
                    where = start // _SLOT * _KEPT
                    yield _ended(span, kept[where : where + _KEPT])


def _write(span: Span, deadline_ns: int, pid: int) -> bytes:
    """Return a record: one Python literal or two, and what tells that it is whole. What is unread is noted as it is."""
    invocation = span.invocation
    if invocation is not None and invocation.seen is not None:
        record = b"R%b\n\n\n" % repr((pid, invocation.facts, invocation.seen, deadline_ns)).encode()
        if len(record) <= _SLOT:
            return record
    ids = f"{span.trace_id!a}, {span.span_id!a}, {span.parent_id!a}"
    head = f"R({pid}, {ids}, {span.kind}, {span.start_ns}, {str(span.name)[:256]!a}, {deadline_ns})\n"
    more = ascii(span.attributes)
    if len(head) + len(more) > _SLOT - 8:
        more = ascii({key: span.attributes[key] for key in _ESSENTIAL if key in span.attributes})
    return f"{head}{more}\n\n".encode()


def _parse(record: bytes, began: int) -> Span | None:
    """Return a record as the span of a killed invocation; None if it is no record, or of this very process."""
    from ast import literal_eval

    head, _, rest = record.partition(b"\n")
    more, whole, _ = rest.partition(b"\n\n")
    try:
        pid, *known, deadline_ns = literal_eval(head.decode())
        span = _unread(*known) if len(known) == 2 else _span(*known)
        if not whole or (pid == os.getpid() and span.start_ns >= began):  # our modules were loaded a second time
            return None
        if not (_is_hex(span.trace_id, 32) and _is_hex(span.span_id, 16)):
            return None
        if span.parent_id and not _is_hex(span.parent_id, 16):
            return None
        now = now_ns()
        span.end_ns = max(min(int(deadline_ns) or now, now), span.start_ns)
        if len(known) > 2:
            span.attributes = _attributes(more)
    except Exception:  # noqa: BLE001 - whatever stands there: a broken note must not end the init
        return None
    span.attributes.update({"faasight.outcome": "error", "faasight.killed": True})
    return span.fail("killed", "the process was killed, by a signal or at a limit; when is not known")


def _ended(span: Span, kept: bytes) -> Span:
    """Tell of one that ended well, and was held, as what it is: what is lost is what it did within, not that it ran."""
    if kept[:1] == b"E" and kept[1:21].isdigit():
        span.end_ns = max(int(kept[1:21]), span.start_ns)
        span.status, span.message = UNSET, ""
        span.attributes.pop("faasight.killed", None)
        span.attributes.pop("error.type", None)
        span.attributes.update({"faasight.outcome": "ok", "faasight.partial": True})
    return span


def _span(trace_id: str, span_id: str, parent_id: str, kind: int, start_ns: int, name: object) -> Span:
    span = Span(str(name), min(max(int(kind), 1), 5), trace_id, parent_id, start_ns=int(start_ns))
    span.span_id = span_id
    return span


def _unread(facts: Facts, seen: Essence) -> Span:
    """Read now what nobody has read before the kill."""
    from faasight.invocation import make
    from faasight.triggers import told

    return make(Unread(facts[0][:16], int(facts[1])), told(seen), facts, {})


def _is_hex(text: object, length: int) -> bool:
    return isinstance(text, str) and len(text) == length and _HEX.issuperset(text)


def _attributes(text: bytes) -> dict[str, Any]:
    from ast import literal_eval

    try:
        return dict(literal_eval(text.decode()))
    except Exception:  # noqa: BLE001 - an event may hold what is no literal; the span is told without
        return {}
