"""Addresses: what is understood, what is refused, and that no password shows."""

from pathlib import Path

import pytest
from faasight_store import DsnError
from faasight_store.dsn import EmbeddedDsn, ServerDsn, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chdb:///var/lib/faasight", EmbeddedDsn(Path("/var/lib/faasight"))),
        ("chdb://./faasight-data", EmbeddedDsn(Path("faasight-data"))),
        ("chdb:///d?database=t_1", EmbeddedDsn(Path("/d"), "t_1")),
        ("clickhouse://host", ServerDsn("host")),
        ("clickhouse://u:p%40ss@host:9000/db", ServerDsn("host", 9000, "db", "u", "p@ss")),
        ("clickhouses://u@host/db", ServerDsn("host", 8443, "db", "u", secure=True)),
    ],
)
def test_addresses(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "faasight-data",
        "chdb://",
        "postgres://secret@host",
        "clickhouse://",
        "clickhouse://u:secret@host:port/db",
        "clickhouse://u:secret@[host/db",
        "chdb:///d?database=a;b",
        "chdb:///d?secret=1",
        "clickhouse://u:secret@host/a`b",
    ],
)
def test_a_bad_address_is_one_sentence_with_an_example_and_without_the_password(text: str) -> None:
    with pytest.raises(DsnError, match=r"FAASIGHT_STORE.*Write for example chdb:///") as caught:
        parse(text)
    assert "u:secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "text",
    [
        "clickhouse://u:12/s3cret@h",
        "clickhouse://u:12/s3cret@h:8123/db",
        "clickhouse://u:12?s3cret@h/db",
        "clickhouse://u:12?database=s3cret@h/db",
        "clickhouse://u:12#s3cret@h/db",
        "clickhouse://u:s3cret/12@h",
    ],
)
def test_a_password_that_is_not_encoded_is_not_shown_and_not_taken_for_a_database(text: str) -> None:
    with pytest.raises(DsnError) as caught:
        parse(text)
    assert "s3cret" not in str(caught.value)


def test_the_password_is_never_shown() -> None:
    dsn = parse("clickhouse://u:secret@host/db")
    assert "secret" not in str(dsn)
    assert "secret" not in repr(dsn)
    assert str(dsn) == "clickhouse://u@host:8123/db"
