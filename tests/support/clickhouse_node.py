"""A ClickHouse server as a process: the engine's own HTTP and native interfaces, on an address of the loopback range.

chDB carries clickhouse-local whole, and that can listen (SYSTEM START LISTEN); `chdb._chdb.query` is the way in. Unlike
`clickhouse_http.py` every byte is answered by ClickHouse itself, other nodes reach it, and a cluster of several can be
made. What it lacks of a server: the port of interserver traffic, so no replica fetches a part, and the queue of DDL.

    python tests/support/clickhouse_node.py DIR    reads DIR/config.xml; runs until killed
"""

import ctypes
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from polling import wait_until

# Below the range that the kernel takes ports of clients from.
HTTP, NATIVE = 28123, 29000
_START_S = 120.0
_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG
# The engine listens for as long as a query runs.
_RUN = """
SYSTEM START LISTEN TCP;
SYSTEM START LISTEN HTTP;
SELECT sleepEachRow(1) FROM numbers(100000) FORMAT Null
SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 2000000
"""
_CONFIG = """<clickhouse>
  <listen_host>{host}</listen_host><http_port>{http}</http_port><tcp_port>{native}</tcp_port>
  <macros><shard>{number:02d}</shard><replica>r1</replica></macros>
  <backups><allowed_path>/</allowed_path></backups>
  <remote_servers><nodes>{shards}</nodes></remote_servers>
</clickhouse>
"""
_SHARD = (
    "<shard><internal_replication>true</internal_replication>"
    "<replica><host>{host}</host><port>{native}</port></replica></shard>"
)


class Node:
    """One server of the cluster `nodes`, a shard each; it may be killed and started again."""

    def __init__(
        self, folder: Path, hosts: Sequence[str], number: int, *, http: int = HTTP, native: int = NATIVE
    ) -> None:
        """Take the `number`th of the hosts, counted from 1 as the shards are; all nodes have the same ports."""
        self.host, self.port = hosts[number - 1], http
        self._folder = folder / f"node-{number}"
        self._folder.mkdir(parents=True)
        shards = "".join(_SHARD.format(host=host, native=native) for host in hosts)
        config = _CONFIG.format(host=self.host, http=http, native=native, number=number, shards=shards)
        (self._folder / "config.xml").write_text(config, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it speaks HTTP: `host:port`."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            command = [sys.executable, __file__, str(self._folder)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, f"the node {self.host} answers", _START_S)

    def kill(self) -> None:
        """Kill it, as the loss of its machine would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=60)

    def _answers(self) -> bool:
        assert self._process is not None
        log = self._folder / "log"
        assert self._process.poll() is None, f"the node {self.host} ended: {log.read_text('utf-8', 'replace')[-2000:]}"
        try:
            with urllib.request.urlopen(f"http://{self.address}/ping", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def hosts(count: int) -> list[str]:
    """Return addresses of the loopback range that no other process of the tests uses."""
    pid = os.getpid()
    return [f"127.{64 + pid // 256 % 128}.{pid % 256}.{number}" for number in range(1, count + 1)]


def main() -> None:
    """Serve until killed, or until the tests are."""
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    folder = Path(sys.argv[1]).resolve()
    os.chdir(folder)  # config.xml is read here
    import chdb

    result = chdb._chdb.query(_RUN, "TabSeparated", path=str(folder / "data"))
    sys.exit(result.error_message() if result.has_error() else "the query that keeps the server up has ended")


if __name__ == "__main__":
    main()
