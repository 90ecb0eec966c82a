"""One evaluator at a time: a lease in the store, with an epoch that grows with every change of hands.

ClickHouse has no compare-and-set, so two processes can for a moment both believe that they hold it. That does no harm:
the rows they write carry the epoch, and an id made from slot and state, so that the same change stays one change.
"""

import os
import socket
from dataclasses import replace
from datetime import datetime, timedelta

from faasight_store.connection import Store
from faasight_store.queries import alerts as stored
from faasight_store.queries.alerts import AlertLease


def this_process() -> str:
    """Return a holder's name from which a process of the same machine can tell whether it still runs."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Lease:
    """The lease as one evaluator sees it."""

    def __init__(self, store: Store, holder: str, ttl_s: float) -> None:
        self._store = store
        self._holder = holder
        self._ttl = timedelta(seconds=ttl_s)
        self._held: AlertLease | None = None

    @property
    def epoch(self) -> int:
        """The epoch held, 0 if none."""
        return self._held.epoch if self._held else 0

    def take(self, now: datetime) -> AlertLease | None:
        """Return the lease if it is ours, or can be; None while another holds it. Raises what the store raises."""
        found = stored.lease(self._store)
        if found and self._held and (found.epoch, found.holder) == (self._held.epoch, self._holder):
            return self._held
        self._held = None
        if found and found.expires_at > now and not self._orphaned(found.holder):
            return None
        mine = AlertLease(
            epoch=(found.epoch if found else stored.last_epoch(self._store)) + 1,
            holder=self._holder,
            at=now,
            expires_at=now + self._ttl,
            checkpoint=found.checkpoint if found else "",
        )
        stored.write_lease(self._store, mine)
        winner = stored.lease(self._store)
        self._held = mine if winner and (winner.epoch, winner.holder) == (mine.epoch, mine.holder) else None
        return self._held

    def renew(self, now: datetime, checkpoint: str) -> None:
        """Write that we live, and how far we came."""
        self._write(now, now + self._ttl, checkpoint)

    def give_back(self) -> None:
        """Let another start at once; does nothing if the lease is not ours."""
        if self._held:
            after = self._held.at + timedelta(milliseconds=1)  # the newest row counts, so it must be a later one
            self._write(after, after, self._held.checkpoint)
            self._held = None

    def _write(self, now: datetime, expires_at: datetime, checkpoint: str) -> None:
        if self._held:
            self._held = replace(self._held, at=now, expires_at=expires_at, checkpoint=checkpoint)
            stored.write_lease(self._store, self._held)

    def _orphaned(self, holder: str) -> bool:
        """Tell whether the holder was a process of this machine that runs no more (or was us, before a restart)."""
        host, _, pid = holder.rpartition(":")
        if holder == self._holder:
            return True
        if host != socket.gethostname() or not pid.isdecimal():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False  # it runs, as somebody else
        return False
