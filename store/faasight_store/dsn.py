"""Addresses of a store: `chdb:///path` or `clickhouse://user:password@host:port/database`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from faasight_store.errors import DsnError

DEFAULT_DATABASE = "faasight"
HTTP_PORT = 8123  # of ClickHouse: https://clickhouse.com/docs/guides/sre/network-ports
HTTPS_PORT = 8443
EXAMPLES = "chdb:///var/lib/faasight, chdb://./faasight-data or clickhouse://user:password@host:8123/faasight"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class EmbeddedDsn:
    """A directory that the engine inside this process keeps its data in."""

    path: Path
    database: str = DEFAULT_DATABASE
    memory_bytes: int = 0  # how much the engine may take; 0: nine tenths of the machine, as the engine has it

    def __str__(self) -> str:
        return f"chdb://{self.path}"


@dataclass(frozen=True, slots=True)
class ServerDsn:
    """A ClickHouse server's HTTP interface."""

    host: str
    port: int = HTTP_PORT
    database: str = DEFAULT_DATABASE
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False

    def __str__(self) -> str:
        """Show the address without its password."""
        return f"clickhouse{'s' if self.secure else ''}://{self.user}@{self.host}:{self.port}/{self.database}"


Dsn = EmbeddedDsn | ServerDsn


def parse(dsn: str) -> Dsn:
    """Read an address; raises DsnError, whose text never holds a password."""
    scheme, separator, rest = dsn.partition("://")
    if not separator:
        raise _bad("it has no scheme")
    if scheme == "chdb":
        return _embedded(rest)
    if scheme in ("clickhouse", "clickhouses"):
        return _server(dsn, secure=scheme == "clickhouses")
    raise _bad(f"the scheme {scheme!r} is unknown")


def _embedded(rest: str) -> EmbeddedDsn:
    path, _, query = rest.partition("?")
    if not path or "\0" in path:
        raise _bad("it names no directory")
    return EmbeddedDsn(Path(unquote(path)).expanduser(), _database(query))


def _server(dsn: str, *, secure: bool) -> ServerDsn:
    try:
        url = urlsplit(dsn)
        port = url.port
    except ValueError:
        raise _bad("its host or port is malformed") from None  # the cause's text may hold the password
    if not url.hostname:
        raise _bad("it names no host")
    if "@" in url.path + url.query + url.fragment:  # then what stands before it is, or may be, a password
        raise _bad("there is an @ behind the host; write / ? # and @ of a password as %2F %3F %23 and %40")
    name = unquote(url.path.strip("/"))
    return ServerDsn(
        host=url.hostname,
        port=port or (HTTPS_PORT if secure else HTTP_PORT),
        database=_checked(name) if name else _database(url.query),
        user=unquote(url.username or "default"),
        password=unquote(url.password or ""),
        secure=secure,
    )


def _database(query: str) -> str:
    options = parse_qs(query, keep_blank_values=True)
    unknown = sorted(set(options) - {"database"})
    if unknown:
        raise _bad(f"the option {unknown[0]!r} is unknown; there is only 'database'")
    return _checked(options.get("database", [DEFAULT_DATABASE])[-1])


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise _bad(f"{name!r} is no name for a database: use letters, digits and underscores")
    return name


def _bad(what: str) -> DsnError:
    return DsnError(f"The store's address (FAASIGHT_STORE) cannot be understood: {what}. Write for example {EXAMPLES}.")
