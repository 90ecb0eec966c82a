"""State, history and outbox of alerts.

A change of state and the message about it are one row of `alert_changes`, so that neither exists without the other.
What became of the messages is in `alert_deliveries`; who evaluates, and how far, in `alert_leases`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from faasight_store.connection import Store
from faasight_store.times import EPOCH
from faasight_store.types import AlertEvent, AlertInstance, Scope

SENT = "sent"
BROKEN = "broken"  # the destination refuses; the message stays queued


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One change of state, as it is stored. The same id is the same change, however often it is appended."""

    id: str
    epoch: int  # of the evaluator's lease: a later one overrules what an earlier one still writes
    seq: int  # order within one append
    recorded_at: datetime
    slot: datetime  # the evaluation slot
    instance: str
    rule_id: str
    rule: str
    severity: str
    labels: Mapping[str, str]
    state: str
    since: datetime
    value: float
    value_text: str  # with its unit
    condition: str
    summary: str
    reason: str
    link: str
    channels: Sequence[str]  # who must be told; none for a silent change
    memory: str  # what the state machine remembers, in its own words


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """One attempt to tell one channel of one change, if it ended in `SENT` or `BROKEN`."""

    change_id: str
    channel: str
    at: datetime
    status: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AlertLease:
    """Who evaluates the rules, until when, and how far it came (`checkpoint`, in the evaluator's own words)."""

    epoch: int
    holder: str
    at: datetime
    expires_at: datetime
    checkpoint: str


_CHANGE = tuple(AlertChange.__slots__)
_DELIVERY = tuple(AlertDelivery.__slots__)
_LEASE = tuple(AlertLease.__slots__)

# The newest row of each instance. A row of an older epoch, written late by an evaluator that lost its lease, loses.
_LATEST = """
    SELECT * FROM alert_changes WHERE recorded_at >= {since:DateTime64(3, 'UTC')}
    ORDER BY epoch DESC, recorded_at DESC, seq DESC LIMIT 1 BY instance
"""
_KEPT = timedelta(days=400)  # as the table's TTL


def active(store: Store) -> list[AlertInstance]:
    """Return what is pending or firing, firing first, the most severe first."""
    rows = store.query(
        f"""
        SELECT instance, rule, severity, state, labels, since, value, condition, summary FROM ({_LATEST})
        WHERE state IN ('pending', 'firing', 'recovering')
        ORDER BY state = 'pending', indexOf(['critical', 'warning', 'info'], severity), since DESC, instance
        """,
        {"since": EPOCH},
    )
    return [AlertInstance(*_aware(row)) for row in rows]


def history(store: Store, scope: Scope, limit: int = 200) -> list[AlertEvent]:
    """Return changes of state, newest first."""
    rows = store.query(
        """
        WITH told AS (
            SELECT change_id, countIf(status = 'sent') > 0 AS sent, countIf(status = 'broken') > 0 AS broken
            FROM alert_deliveries WHERE at >= {start:DateTime64(3, 'UTC')} GROUP BY change_id
        )
        SELECT id, recorded_at, instance, rule, severity, labels, state, value, summary, reason,
            multiIf(empty(channels), 'none', told.sent, 'sent', told.broken, 'broken', 'queued') AS delivery
        FROM (
            SELECT * FROM alert_changes
            WHERE recorded_at >= {start:DateTime64(3, 'UTC')} AND recorded_at < {end:DateTime64(3, 'UTC')}
                AND ({environment:String} = '' OR labels['environment'] IN ('', {environment:String}))
            ORDER BY recorded_at, seq LIMIT 1 BY id
        ) AS changes
        LEFT JOIN told ON told.change_id = changes.id
        ORDER BY recorded_at DESC, seq DESC LIMIT {limit:UInt32}
        """,
        {"start": scope.start, "end": scope.end, "environment": scope.environment, "limit": limit},
    )
    return [AlertEvent(*_aware(row)) for row in rows]


def latest(store: Store, now: datetime) -> list[AlertChange]:
    """Return the newest change of every instance that is not at rest, or came to rest within the last day."""
    rows = store.query(
        f"""
        SELECT {", ".join(_CHANGE)} FROM ({_LATEST})
        WHERE state NOT IN ('normal', 'resolved') OR recorded_at >= {{recent:DateTime64(3, 'UTC')}}
        """,
        {"since": now - _KEPT, "recent": now - timedelta(days=1)},
    )
    return [AlertChange(*_aware(row)) for row in rows]


def append(store: Store, changes: Sequence[AlertChange]) -> None:
    """Store changes and their messages, all or none."""
    _insert(store, "alert_changes", _CHANGE, changes)


def queued(store: Store, channel: str, now: datetime, limit: int) -> list[AlertChange]:
    """Return the changes that a channel has not been told of, oldest first; each once."""
    rows = store.query(
        f"""
        SELECT {", ".join(_CHANGE)} FROM alert_changes
        WHERE has(channels, {{channel:String}}) AND recorded_at >= {{since:DateTime64(3, 'UTC')}} AND id NOT IN (
            SELECT change_id FROM alert_deliveries WHERE channel = {{channel:String}} AND status = 'sent'
        )
        ORDER BY recorded_at, seq LIMIT 1 BY id LIMIT {{limit:UInt32}}
        """,
        {"channel": channel, "since": now - _KEPT, "limit": limit},
    )
    return [AlertChange(*_aware(row)) for row in rows]


def record_deliveries(store: Store, deliveries: Sequence[AlertDelivery]) -> None:
    """Store what became of messages."""
    _insert(store, "alert_deliveries", _DELIVERY, deliveries)


def lease(store: Store) -> AlertLease | None:
    """Return the lease of the highest epoch; where two took it at once, the first has it. None before the first."""
    rows = store.query(
        """
        SELECT any(epoch), holder, max(at) AS newest, argMax(expires_at, at), argMax(checkpoint, at)
        FROM alert_leases WHERE epoch = (SELECT max(epoch) FROM alert_leases)
        GROUP BY holder ORDER BY min(at), holder LIMIT 1
        """
    )
    return AlertLease(*_aware(rows[0])) if rows else None


def last_epoch(store: Store) -> int:
    """Return the highest epoch that any change was written under, 0 if there is none; leases are forgotten sooner."""
    return int(store.query("SELECT max(epoch) FROM alert_changes")[0][0])


def write_lease(store: Store, held: AlertLease) -> None:
    """Take, renew or give back the lease."""
    _insert(store, "alert_leases", _LEASE, [held])


def _aware(row: Sequence[Any]) -> list[Any]:
    """Return a row with its times marked as UTC: the columns are, and the driver gives them without a zone."""
    return [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row]


def _insert(store: Store, table: str, columns: Sequence[str], rows: Sequence[object]) -> None:
    if rows:
        store.insert(table, columns, [_values(row, columns) for row in rows])


def _values(row: object, columns: Sequence[str]) -> list[Any]:
    return [getattr(row, column) for column in columns]
