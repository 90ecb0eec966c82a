"""Back-up and restore: every table comes back as it was, or nothing does and one sentence says why."""

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from faasight_store import Scope, Store, StoreError, backup, settle
from faasight_store.backup import Place
from faasight_store.queries import functions
from faasight_store.times import DAY, HOUR, MINUTE, from_ns
from moto.server import ThreadedMotoServer
from otlp import Run, records

StoreNamed = Callable[[str, str], Store]


def _digests(store: Store) -> dict[str, tuple[int, int]]:
    """Return the rows of each table, and a sum over all their columns."""
    names = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
    )
    return {
        name: tuple(store.query(f"SELECT count(), sum(cityHash64(*)) FROM `{name}`")[0])  # type: ignore[misc] # two
        for (name,) in names
    }


def _land(store: Store, count: int = 20) -> None:
    runs = [Run(1_800_000_000_000_000_000 + n, function="checkout") for n in range(count)]
    store.land("records", records(*(run.record("report") for run in runs)), secrets.token_hex(8))


@pytest.fixture(scope="module")
def origin(shared_store: Store, store_named: StoreNamed) -> Store:
    """Return a store with 20 invocations, to be read alone, in the engine of `shared_store`."""
    return _filled(store_named, "embedded" if str(shared_store.dsn).startswith("chdb") else "server")


def _filled(store_named: StoreNamed, mode: str) -> Store:
    store = store_named(mode, "backed_up")
    if store.query("SELECT count() FROM invocation_facts") == [(0,)]:
        _land(store)
    return store


@pytest.fixture(scope="module")
def place(origin: Store, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return where a back-up of `origin` lies."""
    place = Place(str(tmp_path_factory.mktemp("backups") / "monday"))
    made = "SELECT count() FROM system.tables WHERE database = currentDatabase()"
    assert [(backup.backup(origin, place).tables,)] == origin.query(made)
    return place


@pytest.fixture
def target(origin: Store) -> Iterator[Store]:
    """Return a second, empty database of the engine of `origin`."""
    with _beside(origin) as store:
        yield store


@contextmanager
def _beside(origin: Store) -> Iterator[Store]:
    with Store.open(_address(origin, f"target_{secrets.token_hex(4)}")) as store:
        yield store
        store.command(f"DROP DATABASE IF EXISTS `{store.dsn.database}` SYNC")


def _address(store: Store, name: str) -> str:
    dsn = str(store.dsn).replace("default@", "")
    return f"{dsn}?database={name}" if dsn.startswith("chdb") else f"{dsn.rpartition('/')[0]}/{name}"


def _tables(store: Store) -> int:
    return int(store.query("SELECT count() FROM system.tables WHERE database = currentDatabase()")[0][0])


def test_every_table_comes_back_and_the_store_goes_on(origin: Store, place: Place, target: Store) -> None:
    before = _digests(origin)
    assert before["invocation_facts"][0] == 20
    backup.restore(target, place, source=origin.dsn.database)
    assert _digests(target) == before
    assert target.migrate() == []
    _land(target, 5)
    after = _digests(target)
    assert after["invocation_facts"][0] == 25  # the views write into the restored tables
    assert _digests(origin) == before  # and into no other database


def test_what_was_settled_while_the_back_up_was_made_is_settled_anew(store: Store, tmp_path: Path) -> None:
    """Tables are copied one after the other: of an hour, a day and minutes it may have the marks without the rows."""
    now = time.time_ns()
    begins = [now - 2 * DAY, now - DAY, now - 3 * HOUR, now - 6 * MINUTE]
    runs = [Run(begin + n * MINUTE) for begin in begins for n in range(3)]
    store.land("records", records(*(run.record("report") for run in runs)), "before")
    scope = Scope(from_ns(now - 3 * DAY), from_ns(now))
    assert settle(store) >= 3
    for table in ("invocation_hours", "invocation_slots", "invocation_days", "settled_invocations"):
        assert store.query(f"SELECT count() > 0 FROM {table}") == [(True,)]
        store.command(f"TRUNCATE TABLE {table}")
    believed = sum(row.totals.invocations for row in functions.functions(store, scope))  # the marks
    assert believed < len(runs)
    backup.backup(store, Place(str(tmp_path / "there")))
    with _beside(store) as target:
        backup.restore(target, Place(str(tmp_path / "there")), source=store.dsn.database)
        for _ in range(2):
            assert sum(row.totals.invocations for row in functions.functions(target, scope)) == len(runs)
            settle(target)
        assert target.query("SELECT count() FROM settled_hours")[0][0] >= 3


def test_a_place_that_is_taken_is_left_as_it_is(origin: Store, place: Place) -> None:
    folder = Path(place.address)
    held = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    with pytest.raises(StoreError, match="already exists"):
        backup.backup(origin, place)
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == held


def test_a_restore_never_overwrites(origin: Store, place: Place) -> None:
    with pytest.raises(StoreError, match="tables already, and a restore never overwrites"):
        backup.restore(origin, place)
    assert origin.query("SELECT count() FROM invocation_facts") == [(20,)]


def test_a_damaged_back_up_is_told_and_leaves_nothing(
    origin: Store, place: Place, target: Store, tmp_path: Path
) -> None:
    """RESTORE itself compares sizes alone: a flipped byte would come back as it is."""
    shutil.copytree(place.address, tmp_path / "damaged")
    damaged = Place(str(tmp_path / "damaged"))
    files = (tmp_path / "damaged" / "data").rglob("invocation_facts/**/*.bin")
    data = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    with pytest.raises(StoreError, match="damaged: table invocation_facts"):
        backup.restore(target, damaged, source=origin.dsn.database)
    assert not _tables(target)
    data.unlink()
    with pytest.raises(StoreError, match="ClickHouse could not do it"):
        backup.restore(target, damaged, source=origin.dsn.database)
    assert not _tables(target)


class Interrupted(BaseException):
    """As Ctrl+C is no error."""


def test_an_interrupted_restore_leaves_nothing(origin: Store, place: Place, target: Store) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted

    with pytest.raises(Interrupted), pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "Copied", interrupted)  # should it be over before it is asked for
        backup.restore(target, place, source=origin.dsn.database, sleep=interrupted)
    assert not _tables(target)


_KILLED = """
import os, signal, sys
from faasight_store import Store, backup, migrate
backup.POLL_S = 0
backup.migrate.check_versions = lambda _: os.kill(os.getpid(), signal.SIGKILL)
with Store.open(sys.argv[1]) as store:
    backup.restore(store, backup.Place(sys.argv[2]), source=sys.argv[3])
"""
_AFTERWARDS = """
import sys
from faasight_store import Store, StoreError, backup
with Store.open(sys.argv[1]) as store:
    for use in (store.migrate, store.pending_migrations):
        try:
            use()
        except StoreError as error:
            print(error)
    backup.restore(store, backup.Place(sys.argv[2]), source=sys.argv[3])
    print(store.migrate(), store.query("SELECT count() FROM invocation_facts"))
"""


def test_after_a_killed_restore_nobody_uses_what_is_there_and_the_next_begins_anew(
    origin: Store, place: Place, target: Store, tmp_path: Path
) -> None:
    # An embedded engine is open to one process alone, so that the one to be killed has its own.
    embedded = str(origin.dsn).startswith("chdb")
    address = f"chdb://{tmp_path / 'data'}" if embedded else _address(target, target.dsn.database)
    arguments = [address, place.address, origin.dsn.database]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *arguments], check=False, timeout=180)
    assert killed.returncode == -9
    ran = subprocess.run([sys.executable, "-c", _AFTERWARDS, *arguments], capture_output=True, text=True, timeout=180)
    *refused, restored = ran.stdout.splitlines()
    assert len(refused) == 2, ran
    assert all("say `faasight store restore` again" in line for line in refused)
    assert restored == "[] [(20,)]"


def test_what_is_no_back_up_of_ours_is_told(bare_store: Store, tmp_path: Path) -> None:
    with Store.open(_address(bare_store, f"target_{secrets.token_hex(4)}")) as target:
        with pytest.raises(StoreError, match="not found"):
            backup.restore(target, Place(str(tmp_path / "nowhere")))
        bare_store.command("CREATE TABLE other (x UInt8) ENGINE = MergeTree ORDER BY x")
        backup.backup(bare_store, Place(str(tmp_path / "other")))
        with pytest.raises(StoreError, match="no back-up of FaaSight's database"):
            backup.restore(target, Place(str(tmp_path / "other")), source=bare_store.dsn.database)
        bare_store.command(
            "CREATE TABLE schema_migrations (name String, checksum String) ENGINE = MergeTree ORDER BY ()"
        )
        bare_store.insert("schema_migrations", ["name", "checksum"], [["0001_traces", "other"]])
        backup.backup(bare_store, Place(str(tmp_path / "of another version")))
        with pytest.raises(StoreError, match="in another form"):
            backup.restore(target, Place(str(tmp_path / "of another version")), source=bare_store.dsn.database)
        assert not _tables(target)
        target.command(f"DROP DATABASE `{target.dsn.database}` SYNC")


def test_an_engine_that_forgets_is_not_waited_for(
    origin: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server that was restarted meanwhile; here it never began."""
    monkeypatch.setattr(origin, "command", lambda _: None)
    with pytest.raises(StoreError, match="no longer knows of it"):
        backup.backup(origin, Place(str(tmp_path / "monday")), sleep=lambda _: None)


def test_s3_that_does_not_answer_is_told_soon_and_without_the_secret(bare_store: Store) -> None:
    with pytest.raises(StoreError, match="Connection refused") as caught:
        backup.backup(bare_store, Place("http://127.0.0.1:1/bucket/monday", "key-id", "the-secret"))
    assert "the-secret" not in str(caught.value)


def test_s3_holds_a_back_up(store_named: StoreNamed) -> None:
    """Moto's server stands in for S3, over real HTTP."""
    origin = _filled(store_named, "embedded")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "key-id", "aws_secret_access_key": "the-secret", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="backups")  # type: ignore[call-overload] # keys
        place = Place(f"{url}/backups/monday", "key-id", "the-secret")
        backup.backup(origin, place)
        with Store.open(_address(origin, "from_s3")) as target:
            backup.restore(target, place, source=origin.dsn.database)
            assert _digests(target) == _digests(origin)
            target.command("DROP DATABASE from_s3 SYNC")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("address", "sql"),
    [
        ("disk:backups/monday", "Disk('backups', 'monday')"),
        ("https://b.s3.eu-west-1.amazonaws.com/x", "S3('https://b.s3.eu-west-1.amazonaws.com/x', 'k', 's')"),
        ("/var/backups/it's", r"File('/var/backups/it\'s')"),
    ],
)
def test_a_place_is_named_as_clickhouse_names_it(address: str, sql: str) -> None:
    place = Place(address, "k", "s")
    assert place.sql() == sql
    assert "secret_key" not in repr(place)
