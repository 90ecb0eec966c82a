"""The HTTP interface of a ClickHouse server, put before the real engine (chDB) in a process of its own.

Tests and benchmarks use it where no server is installed, so that the real client speaks real HTTP to a real engine. It
knows what clickhouse-connect needs: GET /ping, queries with settings and bound parameters, inserts in any format,
compressed bodies.

    python tests/support/clickhouse_http.py --path DIR [--port N] [--config FILE]    prints its port when it is ready
"""

import argparse
import gzip
import os
import queue
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

READERS = 4
# What the HTTP interface takes for itself and no query setting.
OWN = frozenset(
    {
        "query",
        "database",
        "default_format",
        "compress",
        "decompress",
        "session_id",
        "session_timeout",
        "session_check",
        "wait_end_of_query",
        "buffer_size",
        "user",
        "password",
        "query_id",
        "client_protocol_version",
        "enable_http_compression",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
        "prefer_localhost_replica",  # 0 would have it call itself by the native port
    }
)
_INSERT = re.compile(rb"\s*insert\s+into\b", re.IGNORECASE)
_FORMAT = re.compile(r"(?is)\s+format\s+(\w+)\s*;?\s*$")
_SELECT = re.compile(r"(?is)\s*(select|with|show|describe|desc|exists|explain)\b")
_CODE = re.compile(r"Code: (\d+)")
# A cluster of the one node that this is. Its queue of DDL is itself, and it has no native port and no replicas: without
# the port of interserver traffic, which chDB does not open, a replicated table stays read-only.
_ON_CLUSTER = re.compile(r" ON CLUSTER `\w+`")
_REPLICATED = re.compile(r"ENGINE = Replicated(\w+)\('[^']*', '[^']*'(?:, )?")
_INSERT_SELECT = re.compile(r"(?is)\s*insert\s+into\b.*\bselect\b")


class Engine:
    """Connections to one directory; each runs one query at a time."""

    def __init__(self, path: str, config: str = "") -> None:
        # As a server's configuration does: where it may write back-ups; clusters, macros.
        self._path = f"{path}?backups.allowed_path=/" + (f"&config-file={config}" if config else "")
        self._idle: queue.Queue[Any] = queue.Queue()
        for _ in range(READERS):
            self._idle.put(_connect(self._path))

    @contextmanager
    def connection(self, database: str) -> Iterator[Any]:
        """Lend a connection that uses the database; one that failed is replaced."""
        connection = self._idle.get()
        try:
            connection.query(f"USE `{database or 'default'}`")
            yield connection
        except BaseException:
            connection.close()
            connection = _connect(self._path)
            raise
        finally:
            self._idle.put(connection)

    def answer(self, parameters: dict[str, str], body: bytes) -> bytes:
        """Run one request and return its result."""
        settings = ", ".join(
            f"{key} = {_literal(value)}"
            for key, value in parameters.items()
            if key not in OWN and not key.startswith("param_")
        )
        with self.connection(parameters.get("database", "")) as connection:
            text = parameters.get("query", "").encode()
            if not text:
                text, _, body = (
                    body.partition(b"\n")
                    if _INSERT.match(body) and b" FORMAT " in body.split(b"\n", 1)[0]
                    else (body, b"", b"")
                )
            if _INSERT.match(text) and body:
                return _insert(connection, text.decode(), body, settings)
            bound = {key[6:]: value for key, value in parameters.items() if key.startswith("param_")}
            return _query(
                connection, (text + body).decode(), bound, settings, parameters.get("default_format", "TabSeparated")
            )


def _insert(connection: Any, text: str, body: bytes, settings: str) -> bytes:
    found = _FORMAT.search(text)
    fmt = found.group(1) if found else "Native"
    head = text[: found.start()] if found else text
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        clause = f" SETTINGS {settings}" if settings else ""
        connection.query(f"{head} FROM INFILE '{file.name}'{clause} FORMAT {fmt}")
    return b""


def _query(connection: Any, text: str, bound: dict[str, str], settings: str, fmt: str) -> bytes:
    found = _FORMAT.search(text)
    if found:
        fmt, text = found.group(1), text[: found.start()]
    text = plain_ddl(text.rstrip().rstrip(";"))
    if settings and (_SELECT.match(text) or _INSERT_SELECT.match(text)):
        text += f" SETTINGS {settings}"
    result = connection.query(text, fmt, params=bound) if bound else connection.query(text, fmt)
    return (result.bytes() if result is not None else b"") or b""


def _connect(path: str) -> Any:
    import chdb  # not at the top: it blocks SIGPIPE in whoever only wants to read a request as we do

    return chdb.connect(path)


def plain_ddl(statement: str) -> str:
    """Return a statement for all nodes of a cluster as one node without replicas runs it."""
    return _REPLICATED.sub(r"ENGINE = \1(", _ON_CLUSTER.sub("", statement))


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "lz4":
        return bytes(lz4.frame.decompress(body))
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


def body_of(request: BaseHTTPRequestHandler) -> bytes:
    """Return a request's body whole, chunked or not; ConnectionResetError where a client has cut it off: no insert."""
    if request.headers.get("Transfer-Encoding", "") != "chunked":
        return _read(request, int(request.headers.get("Content-Length", 0)))
    chunks = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        chunks.append(_read(request, size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(chunks)


def _read(request: BaseHTTPRequestHandler, size: int) -> bytes:
    data = request.rfile.read(size)
    if len(data) < size:
        raise ConnectionResetError(f"{size - len(data)} bytes are missing")
    return data


class Handler(BaseHTTPRequestHandler):
    """One request of the HTTP interface."""

    protocol_version = "HTTP/1.1"
    engine: Engine

    def do_GET(self) -> None:
        """Answer /ping, and small queries in the address."""
        if urlsplit(self.path).path == "/ping" or not urlsplit(self.path).query:
            self._send(200, b"Ok.\n")
        else:
            self._run(b"")

    def do_POST(self) -> None:
        """Run a query or an insert."""
        self._run(_decompressed(body_of(self), self.headers.get("Content-Encoding", "")))

    def _run(self, body: bytes) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        content = self.headers.get("Content-Type", "")
        if content.startswith("multipart/form-data"):
            parameters, body = _form(parameters, body, content)
        try:
            self._send(200, self.engine.answer(parameters, body))
        except Exception as error:  # noqa: BLE001 - whatever the engine says goes to the client, as a server does it
            code = _CODE.search(str(error))
            self._send(500, str(error).encode(), code.group(1) if code else "1")

    def _send(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Summary", "{}")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Stay silent: the test that fails tells what it asked."""


def _form(parameters: dict[str, str], body: bytes, content: str) -> tuple[dict[str, str], bytes]:
    """Read parameters that came as a form because they were long."""
    boundary = content.split("boundary=", 1)[1].strip('"').encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        if name:
            parameters[name.group(1).decode()] = value.removesuffix(b"\r\n").decode()
    return parameters, b""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--config", default="", help="a configuration file of ClickHouse, for clusters and macros")
    arguments = parser.parse_args()
    path = Path(arguments.path).resolve()
    path.mkdir(parents=True, exist_ok=True)
    os.chdir(path)  # the engine keeps schemas that are given as text in the current folder
    Handler.engine = Engine(str(path), arguments.config)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    print(server.server_address[1], flush=True)  # noqa: T201 - how the caller learns the port
    server.serve_forever()


if __name__ == "__main__":
    main()
