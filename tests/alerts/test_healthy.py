"""The health check of the alerts' container, as the container runs it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from faasight_alerts.healthy import verdict
from faasight_store import Store
from faasight_store.queries import alerts as stored
from faasight_store.queries.alerts import AlertLease


def check(dsn: str) -> subprocess.CompletedProcess[str]:
    """Run the check as docker-compose.yml does: the address by stdin."""
    command = [sys.executable, "-m", "faasight_alerts.healthy"]
    return subprocess.run(command, input=dsn, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("emptied", ["server"], indirect=True)
def test_healthy_is_that_somebody_holds_the_lease(emptied: Store, clickhouse_port: int) -> None:
    dsn, now = f"clickhouse://127.0.0.1:{clickhouse_port}/alerts", datetime.now(UTC)
    assert verdict(dsn, now) == "nobody has evaluated the rules yet"
    stored.write_lease(emptied, AlertLease(1, "a:1", now, now + timedelta(seconds=600), ""))
    assert verdict(dsn, now + timedelta(seconds=700)).startswith("the rules were last evaluated at ")
    healthy = check(dsn)
    assert (healthy.returncode, healthy.stderr) == (0, "")


def test_a_store_that_is_away_is_said_without_the_password() -> None:
    ill = check("clickhouse://faasight:s3cret@127.0.0.1:9/faasight")
    assert ill.returncode == 1
    assert ill.stderr.splitlines()[-1].startswith("ClickHouse cannot be reached")
    assert "Traceback" not in ill.stderr
    assert "s3cret" not in ill.stderr
