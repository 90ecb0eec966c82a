"""Databases through the real clients: one span a call by the conventions, and never a value of the user's."""

import asyncio
import importlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import faasight
import psycopg
import pymongo
import pymongo.errors
import pymysql
import pytest
import redis
import redis.asyncio
import redis_server
from databases import SECRET, Mongo, MySql, Postgres, serve
from faasight.hooks import database

LOCAL = "127.0.0.1"


@pytest.fixture
def patched(agent: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Patch the libraries for one test."""
    from pymongo import monitoring

    for owner, name in (
        *((getattr(psycopg, cursor), method)
          for cursor in ("Cursor", "AsyncCursor", "ServerCursor", "AsyncServerCursor")
          for method in ("execute", "executemany")),
        (pymysql.cursors.Cursor, "execute"), (pymysql.cursors.Cursor, "executemany"),
        (sqlite3, "connect"), (sqlite3.dbapi2, "connect"),
        *((getattr(family, kind), "execute_command")
          for family in (redis, redis.asyncio) for kind in ("Redis", "RedisCluster")),
        (redis.client.Pipeline, "execute"), (redis.asyncio.client.Pipeline, "execute"),
        (monitoring, "_LISTENERS"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monitoring._LISTENERS = monitoring._Listeners([], [], [], [], [])
    for name, module in (
        ("psycopg", psycopg), ("pymysql", pymysql.cursors), ("sqlite3", sqlite3), ("redis", redis),
        ("pymongo", monitoring),
    ):  # fmt: skip
        importlib.import_module(f"faasight.hooks.{name}").install(module, agent)
    return agent


Ask = Callable[[str], Any]


def observed(work: Callable[[], Any]) -> Any:
    return faasight.observe(lambda *_: work())({}, None)


@pytest.fixture
def postgres(patched: Any) -> Iterator[str]:
    with serve(Postgres) as port:
        yield f"host={LOCAL} port={port} dbname=shop user=me password={SECRET} sslmode=disable gssencmode=disable"


@pytest.fixture
def mysql(patched: Any) -> Iterator[dict[str, Any]]:
    with serve(MySql) as port:
        yield {"host": LOCAL, "port": port, "user": "me", "password": SECRET, "database": "shop"}


@pytest.fixture
def mongo(patched: Any) -> Iterator[str]:
    with serve(Mongo) as port:
        yield f"mongodb://{LOCAL}:{port}/"


@pytest.fixture
def redis_port(patched: Any) -> Iterator[int]:
    with redis_server.serve() as port:
        yield port


def databases_of(sink: Any) -> list[Any]:
    (root,) = sink.wait()
    spans = [span for span in sink.spans() if span.raw.kind == 3]
    assert all(span.parent_id == root.span_id for span in spans)
    assert SECRET not in str([span.raw for span in sink.spans()]), "no value of the user's is kept"
    return spans


def expected(system: str, name: str, collection: str, port: int, **more: Any) -> dict[str, Any]:
    wanted = {
        "db.system.name": system, "db.operation.name": name, "db.collection.name": collection,
        "db.namespace": "shop", "server.address": LOCAL, "server.port": port, **more,
    }  # fmt: skip
    return {key: value for key, value in wanted.items() if value}


def port_of(text: str) -> int:
    return int(text.partition("port=")[2].split()[0])


def test_postgresql(sink: Any, postgres: str) -> None:
    def work() -> None:
        with psycopg.connect(postgres) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO orders (card) VALUES (%s)", (SECRET,))
            cursor.executemany("UPDATE stock SET card = %s", [(SECRET,), (SECRET,)])
            connection.execute(psycopg.sql.SQL("SELECT {} FROM {}").format(SECRET, psycopg.sql.Identifier("t x")))

    observed(work)
    spans = databases_of(sink)
    assert [span.name for span in spans] == ["INSERT orders", "UPDATE stock", "SELECT t x"]
    assert spans[0].attributes == expected("postgresql", "INSERT", "orders", port_of(postgres))


def test_postgresql_async(sink: Any, postgres: str) -> None:
    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(postgres) as connection:
            await asyncio.gather(*(connection.execute(f"SELECT 1 FROM t{number}") for number in range(3)))

    observed(lambda: asyncio.run(work()))
    assert sorted(span.name for span in databases_of(sink)) == ["SELECT t0", "SELECT t1", "SELECT t2"]


def test_a_statement_that_fails_keeps_the_code_and_not_the_message(sink: Any, postgres: str, mysql: Any) -> None:
    def work() -> None:
        with psycopg.connect(postgres) as connection, pytest.raises(psycopg.errors.UniqueViolation, match=SECRET):
            connection.execute(f"INSERT INTO broken VALUES ('{SECRET}')")
        with pymysql.connect(**mysql) as other, pytest.raises(pymysql.err.IntegrityError, match=SECRET):
            other.cursor().execute("INSERT INTO broken VALUES (%s)", (SECRET,))

    observed(work)
    first, second = databases_of(sink)
    for span, code, kind in (
        (first, "23505", "psycopg.errors.UniqueViolation"),
        (second, "1062", "pymysql.err.IntegrityError"),
    ):
        assert span.raw.status.code == 2
        assert span.attributes["db.response.status_code"] == code
        assert span.attributes["error.type"] == kind
        assert not span.raw.events


def test_mysql(sink: Any, mysql: dict[str, Any], patched: Any) -> None:
    patched.settings.statements = True

    def work() -> None:
        with pymysql.connect(**mysql) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT \"from {SECRET}\" FROM `orders` WHERE card = '{SECRET}' AND id = 411111")
            cursor.executemany("UPDATE stock SET card = %s", [(SECRET,), (SECRET,)])

    observed(work)
    first, second = databases_of(sink)
    text = "SELECT ? FROM `orders` WHERE card = ? AND id = ?"
    assert first.attributes == expected("mysql", "SELECT", "orders", mysql["port"]) | {"db.query.text": text}
    assert second.name == "UPDATE stock", "executemany is one call"


def test_sqlite_is_what_it_was(sink: Any, patched: Any) -> None:
    def work() -> list[Any]:
        with sqlite3.connect(":memory:") as connection:
            assert isinstance(connection, sqlite3.Connection)
            connection.executescript("CREATE TABLE IF NOT EXISTS orders (card TEXT UNIQUE);")
            cursor = connection.executemany("INSERT INTO orders VALUES (?)", [(SECRET,), ("b",)])
            assert isinstance(cursor, sqlite3.Cursor)
            assert cursor.connection is connection
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute("INSERT INTO orders VALUES (?)", (SECRET,))
            with pytest.raises(TypeError):
                connection.execute()  # type: ignore[call-arg]  # the point of it
            rows = connection.execute("SELECT count(*) FROM orders").fetchall()
        connection.close()
        return rows

    assert observed(work) == [(2,)]
    spans = databases_of(sink)
    assert [span.name for span in spans] == [
        "CREATE orders",
        "INSERT orders",
        "INSERT orders",
        "sqlite",
        "SELECT orders",
    ]
    assert spans[0].attributes == {
        "db.system.name": "sqlite", "db.operation.name": "CREATE", "db.collection.name": "orders",
    }  # fmt: skip
    assert spans[2].attributes["error.type"] == "sqlite3.IntegrityError"
    assert sqlite3.connect(":memory:", factory=sqlite3.Connection).close() is None


def test_a_loop_of_quick_calls_does_not_flood(sink: Any, patched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are counted; what is left out are quick ones that went well, never failures."""
    monkeypatch.setattr(database, "QUICK_NS", 10**12)

    def work() -> None:
        connection = sqlite3.connect(":memory:")
        for _ in range(300):
            connection.execute("SELECT 1")
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT 1 FROM absent")
        connection.close()

    observed(work)
    spans = databases_of(sink)
    assert len(spans) == database.MAX_QUICK + 1
    assert spans[-1].name == "SELECT absent"
    (root,) = sink.wait()
    assert root.attributes["faasight.database.calls"] == 301


def test_redis(sink: Any, redis_port: int) -> None:
    def work() -> None:
        with redis.Redis(port=redis_port, db=2) as client:
            client.set(f"key-{SECRET}", SECRET)
            with client.pipeline() as pipeline:
                pipeline.get("a").incr("b").execute()
            with pytest.raises(redis.ResponseError):
                client.incr(f"key-{SECRET}")

    observed(work)
    spans = databases_of(sink)
    assert [span.name for span in spans] == ["SET", "MULTI", "INCRBY"]
    place = {"server.address": "localhost", "server.port": redis_port, "db.namespace": "2", "db.system.name": "redis"}
    assert spans[0].attributes == place | {"db.operation.name": "SET"}
    assert spans[1].attributes == place | {"db.operation.name": "MULTI", "db.operation.batch.size": 2}
    assert spans[2].attributes["error.type"] == "redis.exceptions.ResponseError"


def test_redis_async(sink: Any, redis_port: int) -> None:
    async def work() -> None:
        async with redis.asyncio.Redis(host=LOCAL, port=redis_port) as client:
            await client.set("a", "1")
            async with client.pipeline(transaction=False) as pipeline:
                await pipeline.get("a").get("b").execute()

    observed(lambda: asyncio.run(work()))
    assert [span.name for span in databases_of(sink)] == ["SET", "PIPELINE"]


def test_mongodb(sink: Any, mongo: str) -> None:
    def work() -> None:
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(mongo)
        orders = client.shop.orders
        orders.insert_one({"card": SECRET})
        assert list(orders.find({"card": SECRET})) == []
        with pytest.raises(pymongo.errors.OperationFailure, match=SECRET):
            client.shop.command("broken", SECRET)
        client.close()

    observed(work)
    spans = databases_of(sink)
    assert [span.name for span in spans] == ["insert orders", "find orders", "broken shop"]
    port = int(mongo.rstrip("/").rpartition(":")[2])
    assert spans[0].attributes == expected("mongodb", "insert", "orders", port)
    assert spans[2].attributes["error.type"] == "DuplicateKey"
    assert spans[2].attributes["db.response.status_code"] == "11000"


def test_mongodb_async(sink: Any, mongo: str) -> None:
    async def work() -> None:
        async with pymongo.AsyncMongoClient[Any](mongo) as client:
            await asyncio.gather(*(client.shop[f"c{number}"].find_one({"card": SECRET}) for number in range(3)))
            with faasight.span("after"):
                await client.shop.orders.insert_one({"card": SECRET})

    observed(lambda: asyncio.run(work()))
    (root,) = sink.wait()
    after = sink.named("after")
    assert after.parent_id == root.span_id, "none of the three is still the current one"
    assert sink.named("insert orders").parent_id == after.span_id
    assert sorted(span.name for span in sink.spans() if span.name[:4] == "find") == ["find c0", "find c1", "find c2"]


def test_a_closed_connection_says_what_it_says(sink: Any, postgres: str, mysql: Any) -> None:
    def work() -> None:
        connection = psycopg.connect(postgres)
        connection.close()
        with pytest.raises(psycopg.OperationalError, match="the connection is closed"):
            connection.cursor().execute("SELECT 1")
        other = pymysql.connect(**mysql)
        other.close()
        with pytest.raises(pymysql.err.InterfaceError):
            other.cursor().execute("SELECT 1")

    observed(work)


def test_outside_an_invocation_nothing_is_added(patched: Any) -> None:
    connection = sqlite3.connect(":memory:")
    assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.close()


def test_a_hook_that_fails_harms_nothing(
    new_agent: Any, patched: Any, sink: Any, monkeypatch: pytest.MonkeyPatch, postgres: str
) -> None:
    """A library that has changed, or a failure of our own: the call is made, unobserved."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(database, "begin", fail)
    faasight.complain.complaints.strict = False

    def work() -> Any:
        with psycopg.connect(postgres) as connection:
            return connection.execute("DELETE FROM t").statusmessage

    assert observed(work) == "DELETE 0"


CODE = """
import sys
before = "sqlite3" in sys.modules, "faasight.hooks.sqlite3" in sys.modules
import sqlite3
def handler(event, context):
    connection = sqlite3.connect(":memory:")
    connection.execute("SELECT 1")
    return [before, "faasight.hooks.redis" in sys.modules]
"""


def test_a_library_is_patched_by_its_import_and_never_before(function: Any, sink: Any) -> None:
    sandbox = function(CODE)
    assert sandbox.invoke().body == [[False, False], False], sandbox.output()
    assert [span.name for span in databases_of(sink)] == ["SELECT"]
