"""Export: Parquet files that others read, one a table and day, and that can be brought back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from faasight_store import Store, StoreError, export

DAY = datetime(2026, 11, 3, tzinfo=UTC)
_SPANS = """INSERT INTO spans (ts, trace_id, service, name, kind, attributes)
    SELECT {day:DateTime64(9, 'UTC')} + toIntervalHour(number), unhex(leftPad(hex(number), 32, '0')), 'checkout',
           concat('span ', toString(number)), 2, map('n', concat('é', toString(number)))
    FROM numbers(60)"""


def _export(store: Store, folder: Path, *tables: str) -> list[export.Exported]:
    first = DAY.date()
    return list(export.export(store, tables, first, first + timedelta(days=1), folder))


def test_a_file_for_each_table_and_day(store: Store, tmp_path: Path) -> None:
    """60 hours from midnight on: two whole days, and half of a third that was not asked for."""
    store.command(_SPANS, {"day": DAY})
    files = _export(store, tmp_path, "spans", "logs")
    assert [(file.table, str(file.day), file.rows) for file in files] == [
        ("spans", "2026-11-03", 24),
        ("spans", "2026-11-04", 24),
    ]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == [file.path for file in files]


def test_others_read_the_values(store: Store, tmp_path: Path) -> None:
    store.command(_SPANS, {"day": DAY})
    (row, *rest) = parquet.read_table(_export(store, tmp_path, "spans")[1].path).to_pylist()
    assert len(rest) == 23
    assert row["ts"].to_pydatetime() == DAY + timedelta(days=1)
    assert row["trace_id"] == bytes(15) + b"\x18"
    assert (row["service"], row["name"], row["kind"]) in {(b"checkout", b"span 24", 2), ("checkout", "span 24", 2)}
    assert dict(row["attributes"]) == {"n": "é24"}


def test_what_was_exported_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    store.command(_SPANS, {"day": DAY})
    digest = "SELECT count(), sum(cityHash64(*)) FROM spans WHERE ts < {end:DateTime('UTC')}"
    before = store.query(digest, {"end": DAY + timedelta(days=2)})
    _export(store, tmp_path, "spans")
    store.command("TRUNCATE TABLE spans")
    store.command(f"INSERT INTO spans SELECT * FROM file('{tmp_path}/spans/*.parquet', 'Parquet')")
    assert store.query(digest, {"end": DAY + timedelta(days=2)}) == before


def test_a_second_export_replaces_the_first_and_leaves_no_pieces(store: Store, tmp_path: Path) -> None:
    store.command(_SPANS, {"day": DAY})
    _export(store, tmp_path, "spans")
    store.command("TRUNCATE TABLE spans")
    store.command(_SPANS.replace("numbers(60)", "numbers(3)"), {"day": DAY})
    (file,) = _export(store, tmp_path, "spans")
    assert parquet.read_table(file.path).num_rows == 3
    assert not list(tmp_path.rglob("*.part"))


def test_an_answer_that_breaks_off_leaves_no_file(
    server_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server has said 200 by then; its error is the end of the body."""

    @contextmanager
    def broken(*_: object, **__: object) -> Iterator[BytesIO]:
        yield BytesIO(b"PAR1 half of the rows\r\n__exception__\r\nabc Code: 241. DB::Exception: memory")

    with Store.open(server_dsn) as store:
        store.migrate()
        store.command(_SPANS, {"day": DAY})
        monkeypatch.setattr(store, "stream", broken)
        with pytest.raises(StoreError, match="broke off spans of 2026-11-03; no file was written"):
            _export(store, tmp_path, "spans")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_table_that_is_not_there_and_a_folder_that_cannot_be_written_are_told(store: Store, tmp_path: Path) -> None:
    store.command(_SPANS, {"day": DAY})
    with pytest.raises(StoreError, match="no table 'nothing' to export; there are alert_changes"):
        _export(store, tmp_path, "nothing")
    (tmp_path / "spans").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        _export(store, tmp_path, "spans")


def test_every_table_can_be_exported(store: Store, tmp_path: Path) -> None:
    assert _export(store, tmp_path, *export.tables()) == []
