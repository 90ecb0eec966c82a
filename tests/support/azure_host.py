"""Azure's host, as far as a worker sees it: starts the worker, has it load an application, invokes its functions."""

import os
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from azure_messages import messages

HOST = Path(sys.prefix) / "hosts" / "azure"


class AzureHost:
    """One worker with one application in it; `functions` are its metadata by name."""

    def __init__(self, folder: Path, code: str, environment: dict[str, str], python: str = sys.executable) -> None:
        self.protos = messages()
        self._waiting: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()
        self._count = 0
        self.functions: dict[str, Any] = {}
        (folder / "function_app.py").write_text(code)
        self._folder = folder
        self._output = (folder / "output.txt").open("w+b")
        self._socket, theirs = socket.socketpair()
        here = Path(__file__).parent
        self.process = subprocess.Popen(
            [python, str(here / "azure_worker.py"), str(theirs.fileno())],
            cwd=folder,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("FAASIGHT_")},
                "PYTHONPATH": os.pathsep.join([str(HOST), str(here), str(folder)]),
                "PYTHONUNBUFFERED": "1",
                "TMPDIR": str(folder),
                **environment,
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        threading.Thread(target=self._read, daemon=True).start()

    def load(self) -> Any:
        """Have the application loaded; return the status of that."""
        told = self.ask("worker_init_request", host_version="4.0", function_app_directory=str(self._folder))
        status = told.worker_init_response.result
        if status.status == self.protos.StatusResult.Success:
            found = self.ask("functions_metadata_request", function_app_directory=str(self._folder))
            for metadata in found.function_metadata_response.function_metadata_results:
                self.functions[metadata.name] = metadata
                self.ask("function_load_request", function_id=metadata.function_id, metadata=metadata)
        return status

    def load_v1(self, name: str, code: str, bindings: dict[str, tuple[str, str]]) -> Any:
        """Load one function of the v1 model, as function.json declares it: (type, direction) of each binding.

        The host reads that file, and tells the worker. Returns the status.
        """
        folder = self._folder / name
        folder.mkdir()
        (folder / "__init__.py").write_text(code)
        known = {"in": 0, "out": 1}
        metadata = self.protos.RpcFunctionMetadata(
            name=name, directory=str(folder), script_file=str(folder / "__init__.py"), function_id=f"id-of-{name}",
            bindings={
                key: self.protos.BindingInfo(type=kind, direction=known[direction])
                for key, (kind, direction) in bindings.items()
            },
        )  # fmt: skip
        self.functions[name] = metadata
        loaded = self.ask("function_load_request", function_id=metadata.function_id, metadata=metadata)
        return loaded.function_load_response.result

    def send(self, kind: str, **content: Any) -> "Future[Any]":
        """Send a message; the future is its answer."""
        with self._lock:
            self._count += 1
            number = str(self._count)
            future: Future[Any] = Future()
            self._waiting[number] = future
            body = self.protos.StreamingMessage(request_id=number, **{kind: content}).SerializeToString()
            self._socket.sendall(struct.pack("<I", len(body)) + body)
        return future

    def ask(self, kind: str, **content: Any) -> Any:
        """Send a message and wait for its answer."""
        try:
            return self.send(kind, **content).result(180)
        except TimeoutError:
            raise AssertionError(f"no answer to {kind}: {self.output()}") from None

    def invoke(self, name: str, event: dict[str, Any], **more: Any) -> "Future[Any]":
        """Invoke with the trigger's data (the members of TypedData); `more` are members of the request."""
        metadata = self.functions[name]
        parameter = next(key for key, binding in metadata.bindings.items() if binding.type.endswith("Trigger"))
        more.setdefault("invocation_id", f"invocation-of-{name}")
        data = [{"name": parameter, "data": event}]
        return self.send("invocation_request", function_id=metadata.function_id, input_data=data, **more)

    def call(self, name: str, event: dict[str, Any], **more: Any) -> Any:
        """Invoke and wait for the InvocationResponse."""
        return self.invoke(name, event, **more).result(180).invocation_response

    def http(self, name: str, method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """Invoke an HTTP function; return the RpcHttp of its answer, or the failure's StatusResult."""
        asked = {"method": method, "url": url, "headers": headers or {}}
        told = self.call(name, {"http": asked}, **more)
        return told.return_value.http if told.result.status == self.protos.StatusResult.Success else told.result

    def output(self) -> str:
        """Return what the worker has written so far."""
        return Path(self._output.name).read_text()

    def close(self) -> None:
        """Stop the worker."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(180)
        self._socket.close()
        self._output.close()

    def _read(self) -> None:
        file = self._socket.makefile("rb")
        while head := file.read(4):
            told = self.protos.StreamingMessage.FromString(file.read(struct.unpack("<I", head)[0]))
            self._waiting.pop(told.request_id).set_result(told)
