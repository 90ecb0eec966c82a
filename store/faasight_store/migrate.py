"""Migrations: numbered .sql files, applied in order and recorded with a checksum.

A file may hold `{{name argument}}`, which stands for the file `macros/name.sql` with `$1` replaced by the argument, and
`{{engine MergeTree}}`, which stands for a table engine as the deployment wants it (Replicated ones on a cluster).

Two processes may migrate at once: every statement says IF NOT EXISTS, so both do the same and the later finds it done.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from faasight_store import cluster
from faasight_store.errors import StoreError
from faasight_store.shape import Shape

_PLACEHOLDER = re.compile(r"\{\{(\w+)(?: ([^{}]+))?\}\}")
_KEEP = re.compile(r"\{\{keep (\w+)\}\}")
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_COMMENT = re.compile(r"--[^\n]*")
UNFINISHED = "restore_in_progress"  # the table that marks a database into which a restore has begun, and not ended
_RECORDS = """CREATE TABLE IF NOT EXISTS schema_migrations (
    name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = {{engine MergeTree}} ORDER BY name"""

Engine = Callable[[str], str]


class Target(Protocol):
    """What a migration needs of a store."""

    def query(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Run a read."""

    def command(self, sql: str) -> None:
        """Run a statement."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows."""


def single_node(engine: str) -> str:
    """Return the engine of one server, embedded or not."""
    return engine


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of statements, and what its placeholders for engines stand for."""

    name: str
    template: str
    engine: Engine = single_node

    @property
    def checksum(self) -> str:
        """Of the statements on one server, in every shape; and of them alone: a better comment is no new schema."""
        plain = Migration(self.name, self.template)
        return hashlib.sha256("\n".join(" ".join(s.split()) for s in plain.statements()).encode()).hexdigest()[:16]

    def statements(self) -> Iterator[str]:
        """Yield the statements one by one."""
        for part in _COMMENT.sub("", _fill(self.template, self.engine)).split(";\n"):
            statement = part.strip().removesuffix(";")
            if statement:
                yield statement


def load() -> list[Migration]:
    """Return all migrations in order."""
    return [Migration(f.name.removesuffix(".sql"), f.read_text("utf-8")) for f in _files()]


def apply(target: Target, shape: Shape, *, everything: bool = False) -> list[str]:
    """Apply what is missing and return its names; with `everything` run the others again too, for nodes that are new.

    Raises StoreError if a migration that was applied has been changed since, or is unknown here.
    """
    migrations = load()
    _refuse_unfinished(target)
    if shape.cluster:
        for statement in cluster.databases(shape):
            target.command(statement)
    for statement in rendered(_RECORDS, shape, migrations):
        target.command(statement)
    new = _missing(target, migrations)
    for migration in migrations if everything else new:
        for statement in rendered(migration.template, shape, migrations):
            target.command(statement)
        if migration in new:
            target.insert("schema_migrations", ["name", "checksum"], [[migration.name, migration.checksum]])
    return [migration.name for migration in new]


def script(shape: Shape) -> list[str]:
    """Return every statement that `apply` runs on a new database of a shape, but for the records."""
    migrations = load()
    made = list(cluster.databases(shape)) if shape.cluster else []
    for template in (_RECORDS, *(migration.template for migration in migrations)):
        made += rendered(template, shape, migrations)
    return made


def pending(target: Target) -> list[str]:
    """Return the names of what `apply` would apply, and change nothing; raises what `apply` raises."""
    _refuse_unfinished(target)
    if not is_migrated(target):
        return [migration.name for migration in load()]
    return [migration.name for migration in _missing(target, load())]


def check_versions(target: Target) -> None:
    """Raise StoreError if another version of FaaSight has made the database."""
    _missing(target, load())


def is_unfinished(target: Target) -> bool:
    """Tell whether a restore into the database has begun, and not ended."""
    asked = f"SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = '{UNFINISHED}'"
    return bool(target.query(asked)[0][0])


def _refuse_unfinished(target: Target) -> None:
    if is_unfinished(target):
        raise StoreError(
            "A restore into this database has not come to its end, so that it may hold half of a back-up: wait for it"
            " if it is running; else say `faasight store restore` again, which begins anew, or drop the database."
        )


def is_migrated(target: Target) -> bool:
    """Tell whether anything was ever applied to the database."""
    recorded = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    return bool(target.query(recorded)[0][0])


def rendered(template: str, shape: Shape, migrations: Sequence[Migration]) -> Iterator[str]:
    """Yield the statements of a template as they run in a shape."""
    if not shape.cluster:
        yield from Migration("", template).statements()
        return
    known = cluster.names([statement for migration in migrations for statement in migration.statements()])
    for statement in Migration("", template, cluster.replicated).statements():
        yield from cluster.spread(statement, known | {"schema_migrations"}, shape)


def _missing(target: Target, migrations: Sequence[Migration]) -> list[Migration]:
    done = dict(target.query("SELECT name, any(checksum) FROM schema_migrations GROUP BY name"))
    if unknown := sorted(set(done) - {migration.name for migration in migrations}):
        raise StoreError(
            f"This database was made by another version of FaaSight: it has the migration {unknown[0]}, which this one "
            "does not know. Use that version, or a newer one, or a new database."
        )
    new = []
    for migration in migrations:
        known = done.get(migration.name)
        if known is None:
            new.append(migration)
        elif known != migration.checksum:
            raise StoreError(
                f"Migration {migration.name} was applied to this database in another form "
                f"({known}, now {migration.checksum}). "
                "This FaaSight and the one that made the database differ: use the same version, or a new database."
            )
    return new


@dataclass(frozen=True, slots=True)
class Kept:
    """How the partitions of a table are told apart, and which setting says how long they stay."""

    keep: str
    monthly: bool

    def end(self, partition: str) -> datetime:
        """Return when a partition is over, by its id: 20261121, or 202611."""
        start = datetime.strptime(f"{partition}01"[:8], "%Y%m%d").replace(tzinfo=UTC)
        return (start.replace(day=28) + timedelta(days=4)).replace(day=1) if self.monthly else start + timedelta(days=1)


@cache
def kept_tables() -> Mapping[str, Kept]:
    """Return the tables whose partitions housekeeping drops: those with `{{keep NAME}}` in place of a TTL."""
    found = {}
    for file in _files():
        for statement in _COMMENT.sub("", file.read_text("utf-8")).split(";\n"):
            keep, table = _KEEP.search(statement), _TABLE.search(statement)
            if keep and table:
                monthly = bool(re.search(r"PARTITION BY (toStartOfMonth|toYYYYMM)\(", statement))
                found[table[1]] = Kept(keep[1], monthly)
    return found


def macro(name: str, argument: str = "") -> str:
    """Return a macro's SQL, for a query that computes what a migration computed."""
    return _fill(f"{{{{{name} {argument}}}}}" if argument else f"{{{{{name}}}}}", single_node)


def _fill(text: str, engine: Engine) -> str:
    macros = _macros()

    def replace(match: re.Match[str]) -> str:
        name, argument = match.group(1), match.group(2) or ""
        if name == "keep":
            return ""  # not the engine's business: lifetime.py
        return engine(argument) if name == "engine" else macros[name].replace("$1", argument)

    while _PLACEHOLDER.search(text):
        text = _PLACEHOLDER.sub(replace, text)
    return text


def _files() -> list[Traversable]:
    folder = files("faasight_store") / "migrations"
    return sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)


@cache
def _macros() -> dict[str, str]:
    folder: Traversable = files("faasight_store") / "migrations" / "macros"
    return {
        f.name.removesuffix(".sql"): f.read_text("utf-8").strip() for f in folder.iterdir() if f.name.endswith(".sql")
    }
