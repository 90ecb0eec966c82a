"""The AWS that the functions see: moto's server as a process, with the template's queues and tables made in it."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.errors import StartError
from faasight_emulator.http_server import listen
from faasight_emulator.model import Place, Queue, Table
from faasight_emulator.warden import Warden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from botocore.session import Session

Client: TypeAlias = Any  # boto makes its clients at run time; they have no static type

_SERVER = Path(__file__).with_name("moto_server.py")
_CLIENTS = "botocore.session"
_START_LIMIT = 60.0  # seconds; moto takes one or two, a machine under load more


class Moto:
    """moto's server on a free port of 127.0.0.1. All it holds is in its memory and goes when it stops."""

    def __init__(self, warden: Warden, folder: Path) -> None:
        self._warden = warden
        self._log = folder / "moto.log"
        with contextlib.closing(listen("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The URL for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server and wait until it answers. Raises StartError."""
        environment = {"PATH": os.defpath, "HOME": str(self._log.parent), "LANG": "C.UTF-8"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- moto, by this Python
                # -P: or the modules beside it would stand in for those of the standard library.
                [sys.executable, "-P", str(_SERVER), "-H", "127.0.0.1", "-p", str(self._port)],
                env=environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._warden.add(self._process.pid)
        importlib.import_module(_CLIENTS)  # meanwhile: half of what the emulator imports, and moto takes longer
        deadline = time.monotonic() + _START_LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = (self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                self.stop()
                raise StartError(
                    f"moto_server, the local stand-in for AWS, did not start: {last}; "
                    "try 'pip install \"moto[server,sqs,dynamodb,s3,events]\"', or name another AWS endpoint."
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill the server."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._warden.remove(self._process.pid)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=2):  # noqa: S310 -- http, on 127.0.0.1
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


class Clients:
    """boto clients of AWS's stand-in, one a service, made when first asked for; safe to use from any thread.

    They take nothing from the user's own AWS settings.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._clients: dict[str, Client] = {}

    def get(self, service: str) -> Client:
        """Return the client of a service, as "sqs"."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def close(self) -> None:
        """Close their connections."""
        for one in self._clients.values():
            one.close()

    def _make(self, service: str) -> Client:
        import botocore.session
        from botocore.config import Config

        if self._session is None:
            self._session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
            self._session.set_config_variable("config_file", os.devnull)
            self._session.set_config_variable("credentials_file", os.devnull)
        return self._session.create_client(
            service,
            region_name=self._place.region,
            endpoint_url=self._place.aws_endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106 -- moto takes anything
            config=Config(
                connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 1}, max_pool_connections=50
            ),
        )


@contextlib.contextmanager
def making(what: str, place: Place) -> "Iterator[None]":
    """Tell in one sentence what could not be made. Raises StartError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StartError(f"{what} could not be made at {place.aws_endpoint}: {error} Correct the template.") from error


def create_resources(clients: Clients, place: Place, queues: "Iterable[Queue]", tables: "Iterable[Table]") -> None:
    """Make the template's queues, then their dead-letter wiring, and its tables. Raises StartError."""
    _create_queues(clients, place, tuple(queues))
    for table in tables:
        dynamodb = clients.get("dynamodb")
        with (
            making(f"The table '{table.name}'", place),
            contextlib.suppress(dynamodb.exceptions.ResourceInUseException),
        ):
            dynamodb.create_table(TableName=table.name, **table.definition)


def _create_queues(clients: Clients, place: Place, queues: tuple[Queue, ...]) -> None:
    urls = {}
    for queue in queues:
        with making(f"The queue '{queue.name}'", place):
            answer = clients.get("sqs").create_queue(QueueName=queue.name, Attributes=dict(queue.attributes))
        urls[queue.name] = answer["QueueUrl"]
    for queue in queues:
        if queue.redrive is not None:
            arn, receives = queue.redrive
            policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
            with making(f"The redrive policy of the queue '{queue.name}'", place):
                clients.get("sqs").set_queue_attributes(QueueUrl=urls[queue.name], Attributes={"RedrivePolicy": policy})
