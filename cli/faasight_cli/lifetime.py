"""`faasight store ...`: back-up, restore, export, and what takes how much room."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from faasight_store import Store, lifetime
from faasight_store import backup as backups
from faasight_store import export as exports
from faasight_store.backup import Copied, Place

from faasight_cli import logs, services, settings
from faasight_cli.console import Console
from faasight_cli.errors import CommandError

_MB = 1000**2


@contextmanager
def _store(chosen: Namespace) -> Iterator[Store]:
    own = settings.load(os.environ, chosen.overrides)
    logs.configure(own.log_level, own.log_format)
    with services.open_store(own) as store:
        yield store


def status(chosen: Namespace) -> int:
    """Print each table with its days and size, and what was dropped lately."""
    console = Console()
    with _store(chosen) as store:
        held: dict[str, list[lifetime.Partition]] = {}
        for partition in lifetime.partitions(store):
            held.setdefault(partition.table, []).append(partition)
        for table, parts in sorted(held.items()):
            rows, size = sum(p.rows for p in parts), sum(p.bytes for p in parts)
            console.say(f"{table:<24} {rows:>14,} rows {size / _MB:>12,.1f} MB   from {parts[0].id} to {parts[-1].id}")
        console.say(f"{'in all':<24} {'':>19} {lifetime.used_bytes(store) / _MB:>12,.1f} MB")
        for gone in lifetime.history(store, chosen.dropped):
            console.say(
                f"dropped {gone.at:%Y-%m-%d %H:%M} {gone.table} {gone.partition}: {gone.rows:,} rows,"
                f" {gone.bytes / _MB:,.1f} MB, for {gone.reason}"
            )
    return 0


def backup(chosen: Namespace) -> int:
    """Back the store up."""
    with _store(chosen) as store:
        _tell("backed up", backups.backup(store, _place(chosen.to)))
    return 0


def restore(chosen: Namespace) -> int:
    """Restore a back-up."""
    with _store(chosen) as store:
        copied = backups.restore(store, _place(chosen.origin), source=chosen.database, cluster=chosen.cluster)
        _tell("restored", copied)
        if pending := store.pending_migrations():
            Console().say(f"the back-up is older than this FaaSight: run `faasight migrate` ({', '.join(pending)})")
    return 0


def export(chosen: Namespace) -> int:
    """Write Parquet files."""
    if chosen.first > chosen.last:
        raise CommandError(f"--from {chosen.first} is after --to {chosen.last}")
    console, files = Console(), 0
    with _store(chosen) as store:
        names = chosen.table or exports.tables()
        for file in exports.export(store, names, chosen.first, chosen.last, chosen.folder):
            console.say(f"{file.path}: {file.rows:,} rows")
            files += 1
    console.say(f"{files} files written")
    return 0


def _place(address: str) -> Place:
    """Return the place, with the keys that every tool for S3 takes from the environment."""
    return Place(address, os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""))


def _tell(what: str, copied: Copied) -> None:
    Console().say(
        f"{what}: {copied.tables} tables, {copied.files} files, {copied.bytes / _MB:,.1f} MB in {copied.seconds:.1f} s"
    )
