"""The scanner of SQL: operation and table, and no value of the user's under any spelling."""

import pytest
from faasight.hooks import sql
from hypothesis import given
from hypothesis import strategies as st

SECRET = "secretvalue"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM orders WHERE id = 1", ("SELECT", "orders")),
        ("  -- a comment FROM x\n select 'from secret' /* from y */ from shop.orders", ("SELECT", "shop.orders")),
        ('(SELECT 1 FROM "Order Items")', ("SELECT", "Order Items")),
        ("INSERT INTO `orders` VALUES (1)", ("INSERT", "orders")),
        ("UPDATE ONLY stock SET a = 1", ("UPDATE", "stock")),
        ("DELETE FROM [dbo] WHERE 1=1", ("DELETE", "dbo")),
        ("CREATE TABLE IF NOT EXISTS t (a)", ("CREATE", "t")),
        ("SELECT substring('abc' from 2) FROM (SELECT 1 FROM inner_t) x", ("SELECT", "inner_t")),
        ("SELECT $$ FROM secret $$, $a$ FROM secret $a$ FROM t", ("SELECT", "t")),
        ("WITH a AS (SELECT 1) SELECT 2", ("WITH", "")),
        ("COMMIT", ("COMMIT", "")),
        ("", ("", "")),
        ("'x'", ("", "")),
        (r"SELECT 'a\' FROM secret'", ("SELECT", "")),
        ("SELECT '" + "x" * 3_000 + "' FROM t", ("SELECT", "")),
        ("SELECT a #> '{x\n FROM secret}' FROM t", ("SELECT", "")),
        ("SELECT 1 /* /* */ FROM secret */ FROM t", ("SELECT", "")),
        ("SELECT 1 FROM " + "t" * 3_000, ("SELECT", "")),
    ],
)
def test_operation_and_table(statement: str, expected: tuple[str, str]) -> None:
    assert sql.target(statement) == expected


def test_double_quotes_of_mysql_are_strings() -> None:
    assert sql.target('SELECT "from secret" FROM "t"', False) == ("SELECT", "")
    assert sql.target('SELECT "from secret" FROM t', False) == ("SELECT", "t")
    assert sql.target("SELECT 1 # FROM x\n FROM t", False) == ("SELECT", "t")
    assert sql.target("SELECT 5--'\n FROM secret'", False) == ("SELECT", "")
    assert sql.without_values('SELECT "secret", 5 FROM t', False) == "SELECT ?, ? FROM t"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT a1, 'x''y', 1.5e3, 0xFF FROM t WHERE b = %s -- 4111", "SELECT a1, ?, ?, ? FROM t WHERE b = %s"),
        ("SELECT $1, :name, ?, %(card)s", "SELECT $1, :name, ?, %(card)s"),
        (r"SELECT 'a', 'b\', 'c'", "SELECT ?,"),
        ("SELECT 'never closed", "SELECT ?"),
    ],
)
def test_texts_without_values(statement: str, expected: str) -> None:
    assert sql.without_values(statement) == expected


QUOTED = st.text(alphabet="'\"\\ \n;-/*$a", max_size=6).map(
    lambda around: "'" + f"{around} FROM {SECRET} {around}".replace("'", "''") + "'"
)


@given(QUOTED, QUOTED, st.booleans())
def test_a_value_never_gets_out(first: str, second: str, double_quotes: bool) -> None:
    for statement in (
        f"SELECT {first} FROM t WHERE a = {second}",
        f"INSERT INTO t VALUES ({first}, {second})",
        f"SELECT 1 /* {first.replace('*/', '')} */ FROM t",
    ):
        assert SECRET not in "".join(sql.target(statement, double_quotes))
        assert SECRET not in sql.without_values(statement, double_quotes)


@given(st.text(max_size=60) | st.text(alphabet="'\"`[]()$ax0.-/*#\n \\", max_size=60), st.booleans())
def test_any_text_is_read(statement: str, double_quotes: bool) -> None:
    sql.target(statement, double_quotes)
    sql.without_values(statement, double_quotes)
