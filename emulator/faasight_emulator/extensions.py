"""The Extensions API of one sandbox: programs beside the function that are told of invocations and of the end.

Source: docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html.
"""

import asyncio
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faasight_emulator.http_server import Request, Response
from faasight_emulator.model import Function, Place
from faasight_emulator.telemetry import Subscription, Telemetry

PREFIX = "/2020-01-01/extension"
TELEMETRY = "/2022-07-01/telemetry"
_EVENTS = ("INVOKE", "SHUTDOWN")
_ID = "lambda-extension-identifier"


@dataclass(slots=True)
class Extension:
    """One extension that has registered. `next` is set while it waits for its next event."""

    name: str
    events: tuple[str, ...]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    next: "asyncio.Future[bytes] | None" = None
    waiting_event: bytes | None = None  # one that came before it asked
    asked: bool = False


class Extensions:
    """Speaks with the extensions of one sandbox.

    `said` is called when something has changed that a sandbox waits for: the last one is ready, or one has failed (with
    its error type). `started` are the names of the programs that were started and have to register.
    """

    def __init__(
        self,
        function: Function,
        place: Place,
        telemetry: Telemetry,
        started: Iterable[str],
        said: Callable[[str], None],
    ) -> None:
        self._function = function
        self._place = place
        self._telemetry = telemetry
        self._missing = set(started)
        self._said = said
        self._known: dict[str, Extension] = {}

    @property
    def ready(self) -> bool:
        """Whether all have registered and wait for their next event."""
        return not self._missing and all(one.next is not None for one in self._known.values())

    def invoke(self, request_id: str, deadline_ms: int, arn: str, trace_header: str) -> None:
        """Tell of an invocation."""
        event = {
            "eventType": "INVOKE",
            "deadlineMs": deadline_ms,
            "requestId": request_id,
            "invokedFunctionArn": arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": trace_header},
        }
        self._tell("INVOKE", event)

    def shut_down(self, reason: str, deadline_ms: int) -> None:
        """Tell of the end: `reason` is spindown, timeout or failure."""
        self._tell("SHUTDOWN", {"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms})

    async def handle(self, request: Request) -> Response | None:
        """Answer one request, None if it is not of this API."""
        if (request.method, request.raw_path) == ("POST", f"{PREFIX}/register"):
            return self._register(request)
        if not request.raw_path.startswith((PREFIX, TELEMETRY)):
            return None
        extension = self._known.get(request.header(_ID))
        if extension is None:
            return _refused(403, "Extension.InvalidExtensionIdentifier", "give the identifier that register answered")
        if (request.method, request.raw_path) == ("GET", f"{PREFIX}/event/next"):
            return await self._next(extension)
        if request.method == "POST" and request.raw_path in (f"{PREFIX}/init/error", f"{PREFIX}/exit/error"):
            error = request.header("lambda-extension-function-error-type") or "Extension.Unknown"
            self._said(error)
            return Response(202, b'{"status":"OK"}')
        if (request.method, request.raw_path) == ("PUT", TELEMETRY):
            return self._subscribe(extension, request)
        return _refused(404, "NotFound", f"{request.method} {request.raw_path} is not of the Extensions API")

    def _register(self, request: Request) -> Response:
        name = request.header("lambda-extension-name")
        try:
            events = tuple(json.loads(request.body or b"{}").get("events") or ())
        except (ValueError, AttributeError):
            events = ("",)
        wrong = [one for one in events if one not in _EVENTS]
        if not name or wrong:
            return _refused(400, "InvalidEventType" if name else "InvalidRequest", f"cannot register for {wrong}")
        if any(one.name == name for one in self._known.values()):
            return _refused(403, "Extension.AlreadyRegistered", f"'{name}' has registered already")
        extension = Extension(name, events)
        self._known[extension.id] = extension
        self._missing.discard(name)
        self._telemetry.extension(name, "Registered", events)
        told = {
            "functionName": self._function.name,
            "functionVersion": self._function.version,
            "handler": self._function.handler,
        }
        if "accountId" in request.header("lambda-extension-accept-feature"):
            told["accountId"] = self._place.account
        headers = (("content-type", "application/json"), ("Lambda-Extension-Identifier", extension.id))
        return Response(200, json.dumps(told).encode(), headers)

    async def _next(self, extension: Extension) -> Response:
        event, extension.waiting_event = extension.waiting_event, None
        if event is None:
            extension.next = asyncio.get_running_loop().create_future()
            if not extension.asked:
                extension.asked = True
                self._telemetry.extension(extension.name, "Ready", extension.events)
            if self.ready:
                self._said("")
            event = await asyncio.shield(extension.next)
        headers = (("content-type", "application/json"), ("Lambda-Extension-Event-Identifier", str(uuid.uuid4())))
        return Response(200, event, headers)

    def _subscribe(self, extension: Extension, request: Request) -> Response:
        if extension.asked:
            return _refused(403, "Telemetry.NotAllowed", "subscribing is possible only before the first event/next")
        try:
            subscription = Subscription.read(json.loads(request.body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _refused(400, "ValidationError", f"this is no subscription: {error}")
        self._telemetry.subscribe(extension.name, subscription)
        return Response(200, b'"OK"')

    def _tell(self, kind: str, event: Mapping[str, object]) -> None:
        encoded = json.dumps(event).encode()
        for extension in self._known.values():
            if kind not in extension.events:
                continue
            if extension.next is not None and not extension.next.done():
                extension.next.set_result(encoded)
                extension.next = None
            else:
                extension.waiting_event = encoded


def programs(layers: Iterable[Path], opt: Mapping[str, Path]) -> dict[str, Path]:
    """Return the extensions by name: the executable files of /opt/extensions, which layers and `opt` make up here."""
    found: dict[str, Path] = {}
    for layer in layers:
        folder = layer / "extensions"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            found[path.name] = path
    found |= {Path(name).name: path for name, path in opt.items() if Path(name).parts[:1] == ("extensions",)}
    return {name: path for name, path in found.items() if path.is_file() and os.access(path, os.X_OK)}


def _refused(status: int, kind: str, message: str) -> Response:
    return Response(status, json.dumps({"errorType": kind, "errorMessage": message}).encode())
