"""A cluster of ClickHouse nodes, each a process and a shard, behind one address that goes to the first that is alive.

The address stands for two things: the balancer of docker-compose.cluster.yml, and the queue of DDL, which these nodes
have not: what says ON CLUSTER is run on every node in turn, with plain engines in place of the replicated ones.
"""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import clickhouse_node
from clickhouse_http import body_of, plain_ddl
from clickhouse_node import Node

CLUSTER = "nodes"  # the name in the nodes' remote_servers
_TIMEOUT_S = 300.0
_GONE = (OSError, http.client.HTTPException)
_PASSED = {"content-type", "content-encoding", "x-clickhouse-exception-code", "x-clickhouse-timezone"}


class Balancer(BaseHTTPRequestHandler):
    """One request, handed to the first node that takes it."""

    protocol_version = "HTTP/1.1"
    nodes: tuple[str, ...]

    def do_GET(self) -> None:
        """Pass it on."""
        self._pass(b"")

    def do_POST(self) -> None:
        """Pass it on; a statement for all nodes to each of them."""
        body = body_of(self)
        if b" ON CLUSTER `" not in body:
            self._pass(body)
            return
        statement = plain_ddl(body.decode()).encode()
        # A node that is told by the queue stands in no database; the one that was asked has qualified the names.
        self.path = re.sub(r"\bdatabase=\w+", "database=default", self.path)
        for node in self.nodes:
            status, headers, answer = self._ask(node, statement)
            if status != 200:
                break
        self._answer(status, headers, answer)

    def _pass(self, body: bytes) -> None:
        for node in self.nodes:
            try:
                connection = http.client.HTTPConnection(node, timeout=_TIMEOUT_S)
                connection.connect()
                connection.close()
            except OSError:
                continue
            self._answer(*self._ask(node, body))
            return
        self._answer(503, [], b"no node is alive")

    def _ask(self, node: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        kept = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        connection = http.client.HTTPConnection(node, timeout=_TIMEOUT_S)
        try:
            connection.request(self.command, self.path, body, kept)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except _GONE as error:
            return 502, [], f"{node}: {error}".encode()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() in _PASSED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Stay silent."""


_HOP = {"host", "connection", "content-length", "transfer-encoding"}


@contextmanager
def nodes(folder: Path, count: int) -> Iterator[tuple[list[Node], str]]:
    """Run the nodes; yield them, and the one address (`host:port`) before them."""
    hosts = clickhouse_node.hosts(count)
    with ExitStack() as stack:
        members = [Node(folder, hosts, number) for number in range(1, count + 1)]
        for node in members:
            stack.callback(node.kill)
            node.start()
        handler = type("OfThese", (Balancer,), {"nodes": tuple(node.address for node in members)})
        server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        stack.callback(server.shutdown)
        yield members, f"127.0.0.1:{server.server_address[1]}"
