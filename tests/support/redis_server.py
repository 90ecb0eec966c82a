"""A Redis server in a process of its own: fakeredis waits by select(), which ends at descriptor 1,023."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SERVE = """
import fakeredis
server = fakeredis.TcpFakeServer(("127.0.0.1", 0))
print(server.server_address[1], flush=True)
server.serve_forever(poll_interval=0.02)
"""


@contextmanager
def serve() -> Iterator[int]:
    """Serve, and yield the port."""
    with subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the Redis server did not start"
        yield int(port)
        process.kill()
