"""The AWS that the functions see: moto's server as a process, with the template's queues and tables made in it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from faasight_emulator.errors import StartError
from faasight_emulator.http_server import listen
from faasight_emulator.model import Place, Queue, Table
from faasight_emulator.warden import Warden

if TYPE_CHECKING:
    from collections.abc import Iterable

Client: TypeAlias = Any  # boto makes its clients at run time; they have no static type

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
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
                env=environment,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._warden.add(self._process.pid)
        deadline = time.monotonic() + _START_LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = (self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                self.stop()
                raise StartError(
                    f"moto_server, the local stand-in for AWS, did not start: {last}; "
                    "try 'pip install \"moto[server,sqs,dynamodb]\"', or name another AWS endpoint."
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


def client(service: str, place: Place) -> Client:
    """Return a boto client of AWS's stand-in that takes nothing from the user's own AWS settings."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    return session.create_client(
        service,
        region_name=place.region,
        endpoint_url=place.aws_endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 -- moto takes anything
        config=Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 2}, max_pool_connections=50),
    )


def create_resources(place: Place, queues: "Iterable[Queue]", tables: "Iterable[Table]") -> None:
    """Make the template's queues (dead-letter queues last wired) and tables. Raises StartError."""
    try:
        sqs = client("sqs", place)
        urls = {queue.name: _create_queue(sqs, queue) for queue in queues}
        for queue in queues:
            if queue.redrive is not None:
                arn, receives = queue.redrive
                policy = f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{receives}}}'
                sqs.set_queue_attributes(QueueUrl=urls[queue.name], Attributes={"RedrivePolicy": policy})
        dynamodb = client("dynamodb", place)
        for table in tables:
            with contextlib.suppress(dynamodb.exceptions.ResourceInUseException):
                dynamodb.create_table(TableName=table.name, **table.definition)
    except (BotoCoreError, ClientError) as error:
        raise StartError(
            f"A resource of the template could not be made at {place.aws_endpoint}: {error}; correct the template."
        ) from error


def _create_queue(sqs: Client, queue: Queue) -> str:
    return str(sqs.create_queue(QueueName=queue.name, Attributes=dict(queue.attributes))["QueueUrl"])
