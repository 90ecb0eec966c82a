"""`faasight store ...`: what the commands say, and what they refuse."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from faasight_cli import services, settings
from faasight_cli.main import main
from faasight_store import Store, lifetime


@pytest.fixture
def filled_dsn(embedded_dsn: str) -> str:
    """Return the address of a store with ten spans of today."""
    with Store.open(embedded_dsn) as store:
        store.migrate()
        store.command("INSERT INTO spans (ts, name) SELECT now64(9), toString(number) FROM numbers(10)")
    return embedded_dsn


def test_back_up_and_restore(filled_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = filled_dsn.rpartition("=")[2]
    place = str(tmp_path / "monday")
    assert main(["store", "backup", place, "--store", filled_dsn]) == 0
    assert "backed up: " in capsys.readouterr().out
    restored = ["store", "restore", place, "--store", f"{filled_dsn}_again", "--database", name]
    assert main(restored) == 0
    with Store.open(f"{filled_dsn}_again") as store:
        assert store.query("SELECT count() FROM spans") == [(10,)]
    assert main(restored) == 1
    assert "a restore never overwrites" in capsys.readouterr().err


def test_status_and_export(filled_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "status", "--store", filled_dsn]) == 0
    assert "spans                                10 rows" in capsys.readouterr().out
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    days = ["--from", today, "--to", today]
    assert main(["store", "export", str(tmp_path), "--table", "spans", *days, "--store", filled_dsn]) == 0
    assert (tmp_path / "spans" / f"{today}.parquet").stat().st_size > 0
    assert "1 files written" in capsys.readouterr().out
    wrong = ["--from", "2026-11-02", "--to", "2026-11-01"]
    assert main(["store", "export", str(tmp_path), *wrong, "--store", filled_dsn]) == 1
    assert "--from 2026-11-02 is after --to 2026-11-01" in capsys.readouterr().err


def test_the_defaults_of_the_settings_are_those_of_the_store() -> None:
    assert services.lifetime(settings.load({})) == lifetime.Lifetime()
    own = settings.load({"FAASIGHT_KEEP_LOGS_DAYS": "7", "FAASIGHT_STORE_BUDGET_GB": "20"})
    assert services.lifetime(own).days["logs"] == 7
    assert services.lifetime(own).budget_bytes == 20 * 10**9
