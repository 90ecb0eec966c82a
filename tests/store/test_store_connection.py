"""The connection: its lock, its limits, its errors, and its manners in a host process."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faasight_store import QueryError, Store, StoreError, StoreLockedError, StoreUnavailableError
from faasight_store.dsn import EmbeddedDsn


def test_values_are_bound_by_the_server(bare_store: Store) -> None:
    hostile = "'; DROP TABLE spans; --\\ \n\t 山 \U0001f600"
    rows = bare_store.query(
        "SELECT {text:String}, {list:Array(String)}, {n:Int64}", {"text": hostile, "list": ["a'", "\\"], "n": -1}
    )
    assert list(rows) == [(hostile, ["a'", "\\"], -1)]


def test_a_query_over_its_time_is_stopped_and_the_next_one_is_untouched(bare_store: Store) -> None:
    with pytest.raises(StoreUnavailableError, match=r"longer than 0\.2 s"):
        bare_store.query(
            "SELECT count() FROM (SELECT rand() % 1000000007 AS x FROM numbers(10000000000) GROUP BY x)", timeout_s=0.2
        )
    assert list(bare_store.query("SELECT 42")) == [(42,)]


def test_a_query_over_its_memory_is_stopped(bare_store: Store) -> None:
    with pytest.raises(StoreUnavailableError, match="more memory"):
        bare_store.query("SELECT groupArray(repeat('x', 1000)) FROM numbers(100000000)", timeout_s=60)


def test_a_bad_regular_expression_is_the_users_fault(bare_store: Store) -> None:
    with pytest.raises(QueryError, match="cannot compile re2"):
        bare_store.query("SELECT match('a', {pattern:String})", {"pattern": "("})


def test_our_own_mistake_is_a_store_error(bare_store: Store) -> None:
    with pytest.raises(StoreError, match="refused the query"):
        bare_store.query("SELECT nothing")


def test_many_threads_read_and_write(bare_store: Store) -> None:
    bare_store.command("CREATE TABLE numbers (n Int64) ENGINE = MergeTree ORDER BY n")

    def work(n: int) -> int:
        bare_store.insert("numbers", ["n"], [[n]])
        return int(bare_store.query("SELECT {n:Int64} + 1", {"n": n})[0][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == list(range(1, 41))
    assert bare_store.query("SELECT count() FROM numbers")[0][0] == 40


def test_a_closed_store_says_so(embedded_dsn: str) -> None:
    store = Store.open(embedded_dsn)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.query("SELECT 1")


def test_one_process_opens_one_directory(embedded_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="one at a time"):
        Store.open(f"chdb://{tmp_path}")
    assert embedded_dsn


def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
        Store.open(f"clickhouse://user:secret@127.0.0.1:{port}/db")
    assert "secret" not in str(caught.value)


_HOLD = """
import sys
from faasight_store import Store
store = Store.open("chdb://" + sys.argv[1])
print("open", flush=True)
sys.stdin.read()
store.close()
print("closed", flush=True)
sys.stdin = None
"""
_TRY = """
import sys
from faasight_store import Store, StoreError
try:
    Store.open("chdb://" + sys.argv[1]).close()
    print("opened")
except StoreError as error:
    print(type(error).__name__, error)
"""


def _try(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _TRY, str(path)], capture_output=True, text=True, timeout=180, check=True
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_directory_in_use_is_locked_with_the_holders_pid_and_free_after_close_or_kill(tmp_path: Path) -> None:
    for end in ("close", "kill"):
        command = [sys.executable, "-c", _HOLD, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            told = _try(tmp_path)
            assert told.startswith(StoreLockedError.__name__)
            assert f"in use by another process (pid {holder.pid})" in told
            if end == "close":
                holder.stdin.close()
                assert holder.stdout.readline() == "closed\n"
            else:
                holder.kill()
        assert _try(tmp_path) == "opened"


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = _try(tmp_path / "file" / "data")
    assert told.startswith("StoreError The data directory")
    assert "FAASIGHT_STORE" in told


_SIGNALS = """
import os, signal, sys
from faasight_store import Store
seen = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda n, frame: seen.append(n))
store = Store.open("chdb://" + sys.argv[1])
store.query("SELECT 1")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), number)
print(sorted(seen), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
store.close()
"""


def test_the_engine_leaves_the_hosts_signals_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SIGNALS, str(tmp_path)], capture_output=True, text=True, timeout=180, check=True
    )
    assert done.stdout.strip() == f"{sorted(map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))} []"


def test_a_server_syncs_what_it_was_given(store: Store) -> None:
    """A power cut of its machine must not take what a collector was told is stored."""
    tables = store.query(
        "SELECT name, engine_full LIKE '%fsync_after_insert = 1%fsync_part_directory = 1%' FROM system.tables"
        " WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    assert len(tables) > 10
    embedded = isinstance(store.dsn, EmbeddedDsn)
    assert {name for name, synced in tables if bool(synced) == embedded} == set()


def test_of_inserts_with_one_token_the_first_counts_with_all_its_blocks(store: Store) -> None:
    """Also through a Distributed table, to which the blocks of several threads would be several inserts."""
    sql = (
        "INSERT INTO settled_days (hour, version, made_of)"
        " SELECT toDateTime(1800000000, 'UTC'), number % 200000 AS n, count() FROM numbers_mt({rows:UInt64}) GROUP BY n"
    )
    for rows in (400_000, 500_000):
        store.command(sql, {"rows": rows}, token="one")
    assert store.query("SELECT count(), sum(made_of) FROM settled_days") == [(200_000, 400_000)]
    store.command(sql, {"rows": 200_000}, token="another")
    assert store.query("SELECT count(), sum(made_of) FROM settled_days") == [(400_000, 600_000)]
