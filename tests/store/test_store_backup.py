"""Back-up and restore: every table comes back as it was, or nothing does and one sentence says why."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from faasight_store import Store, StoreError, backup
from faasight_store.backup import Place
from moto.server import ThreadedMotoServer
from otlp import Run, records


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


@pytest.fixture
def target(request: pytest.FixtureRequest, bare_store: Store) -> Iterator[Store]:
    """Return a second, empty database of the engine of `bare_store`."""
    name = f"target_{secrets.token_hex(4)}"
    dsn = str(bare_store.dsn)
    address = (
        f"{dsn}?database={name}"
        if dsn.startswith("chdb")
        else dsn.replace("default@", "").rpartition("/")[0] + f"/{name}"
    )
    with Store.open(address) as store:
        yield store
        store.command(f"DROP DATABASE IF EXISTS `{name}` SYNC")


def test_every_table_comes_back_and_the_store_goes_on(bare_store: Store, target: Store, tmp_path: Path) -> None:
    bare_store.migrate()
    _land(bare_store)
    before = _digests(bare_store)
    assert before["invocation_facts"][0] == 20
    place = Place(str(tmp_path / "monday"))
    assert backup.backup(bare_store, place).tables == len(
        bare_store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    )
    target.command(f"DROP DATABASE `{bare_store.dsn.database}` SYNC")
    target.command(f"CREATE DATABASE `{bare_store.dsn.database}`")

    backup.restore(target, place, source=bare_store.dsn.database)
    assert _digests(target) == before
    assert target.migrate() == []
    _land(target, 5)
    after = _digests(target)
    assert after["invocation_facts"][0] == 25  # the views write into the restored tables
    assert _digests(bare_store) == {}  # and into no other database


def test_a_place_that_is_taken_is_left_as_it_is(bare_store: Store, tmp_path: Path) -> None:
    bare_store.migrate()
    place = Place(str(tmp_path / "monday"))
    backup.backup(bare_store, place)
    held = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="already exists"):
        backup.backup(bare_store, place)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == held


def test_a_restore_never_overwrites(bare_store: Store, tmp_path: Path) -> None:
    bare_store.migrate()
    place = Place(str(tmp_path / "monday"))
    backup.backup(bare_store, place)
    _land(bare_store)
    with pytest.raises(StoreError, match="tables already, and a restore never overwrites"):
        backup.restore(bare_store, place)
    assert bare_store.query("SELECT count() FROM invocation_facts") == [(20,)]


def test_a_damaged_back_up_is_told_and_leaves_nothing(bare_store: Store, target: Store, tmp_path: Path) -> None:
    """RESTORE itself compares sizes alone: a flipped byte would come back as it is."""
    bare_store.migrate()
    _land(bare_store)
    place = Place(str(tmp_path / "monday"))
    backup.backup(bare_store, place)
    data = max((tmp_path / "monday" / "data").rglob("invocation_facts/**/*.bin"), key=lambda path: path.stat().st_size)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    with pytest.raises(StoreError, match="damaged: table invocation_facts"):
        backup.restore(target, place, source=bare_store.dsn.database)
    assert target.query("SELECT count() FROM system.tables WHERE database = currentDatabase()") == [(0,)]
    data.unlink()
    with pytest.raises(StoreError, match="ClickHouse could not do it"):
        backup.restore(target, place, source=bare_store.dsn.database)
    assert target.query("SELECT count() FROM system.tables WHERE database = currentDatabase()") == [(0,)]


def test_what_is_no_back_up_of_ours_is_told(bare_store: Store, target: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not found"):
        backup.restore(target, Place(str(tmp_path / "nowhere")))
    bare_store.command("CREATE TABLE other (x UInt8) ENGINE = MergeTree ORDER BY x")
    place = Place(str(tmp_path / "other"))
    backup.backup(bare_store, place)
    with pytest.raises(StoreError, match="no back-up of FaaSight's database"):
        backup.restore(target, place, source=bare_store.dsn.database)
    assert target.query("SELECT count() FROM system.tables WHERE database = currentDatabase()") == [(0,)]


def test_a_back_up_of_another_version_is_not_restored(bare_store: Store, target: Store, tmp_path: Path) -> None:
    bare_store.migrate()
    bare_store.command("ALTER TABLE schema_migrations UPDATE checksum = 'other' WHERE 1 SETTINGS mutations_sync = 2")
    place = Place(str(tmp_path / "monday"))
    backup.backup(bare_store, place)
    with pytest.raises(StoreError, match="in another form"):
        backup.restore(target, place, source=bare_store.dsn.database)
    assert target.query("SELECT count() FROM system.tables WHERE database = currentDatabase()") == [(0,)]


def test_an_engine_that_forgets_is_not_waited_for(
    bare_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server that was restarted meanwhile; here it never began."""
    monkeypatch.setattr(bare_store, "command", lambda _: None)
    with pytest.raises(StoreError, match="no longer knows of it"):
        backup.backup(bare_store, Place(str(tmp_path / "monday")), sleep=lambda _: None)
    monkeypatch.undo()


def test_s3_that_does_not_answer_is_told_soon_and_without_the_secret(bare_store: Store) -> None:
    bare_store.migrate()
    with pytest.raises(StoreError, match="Connection refused") as caught:
        backup.backup(bare_store, Place("http://127.0.0.1:1/bucket/monday", "key-id", "the-secret"))
    assert "the-secret" not in str(caught.value)


def test_s3_holds_a_back_up(embedded_dsn: str) -> None:
    """Moto's server stands in for S3, over real HTTP."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "key-id", "aws_secret_access_key": "the-secret", "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="backups")  # type: ignore[call-overload] # keys
        place = Place(f"{url}/backups/monday", "key-id", "the-secret")
        with Store.open(embedded_dsn) as store:
            store.migrate()
            _land(store)
            before = _digests(store)
            backup.backup(store, place)
        with Store.open(f"{embedded_dsn}_restored") as other:
            backup.restore(other, place, source=embedded_dsn.rpartition("=")[2])
            assert _digests(other) == before
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
