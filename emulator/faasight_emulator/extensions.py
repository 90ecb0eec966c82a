"""The Extensions API of one sandbox: programs beside the function that are told of invocations and of the end.

Source: docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html; who is external or internal, and what is
refused, as AWS's own runtime interface emulator does it (lambda/rapi/handler/agentregister.go).
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
_INTERNAL_EVENTS = ("INVOKE",)  # one that lives in the runtime's process ends with it
_MAX_EXTENSIONS = 10
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
        self._external = frozenset(started)
        self._missing = set(self._external)
        self._closed = False  # at the first invocation
        self._said = said
        self._known: dict[str, Extension] = {}

    @property
    def ready(self) -> bool:
        """Whether all have registered and wait for their next event."""
        return not self._missing and all(one.next is not None for one in self._known.values())

    @property
    def missing(self) -> list[str]:
        """The programs that have not registered."""
        return sorted(self._missing)

    def invoke(self, request_id: str, deadline_ms: int, arn: str, trace_header: str) -> None:
        """Tell of an invocation."""
        self._closed = True
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
            kind = "UnknownExtensionIdentifier" if request.header(_ID) else "MissingExtensionIdentifier"
            return _refused(403, f"Extension.{kind}", "give the identifier that register answered")
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
            events = tuple(str(one) for one in json.loads(request.body).get("events") or ())
        except (ValueError, AttributeError, TypeError) as error:
            return _refused(403, "InvalidRequestFormat", f"the body is no JSON object with a list of events: {error}")
        refusal = self._refusal(name, events)
        if refusal is not None:
            return refusal
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

    def _refusal(self, name: str, events: tuple[str, ...]) -> Response | None:
        """Return why this one may not register. A name that is no file's is that of an extension inside the runtime."""
        if not name:
            return _refused(403, "Extension.InvalidExtensionName", "Empty extension name")
        internal = name not in self._external
        wrong = ", ".join(one for one in events if one not in (_INTERNAL_EVENTS if internal else _EVENTS))
        if wrong and internal and self._external:
            files = ", ".join(sorted(self._external))
            text = f"{wrong}: not for internal extensions, and '{name}' is the name of no file in extensions/ ({files})"
            return _refused(403, "Extension.InvalidEventType", text)
        if wrong:
            return _refused(403, "Extension.InvalidEventType", f"{wrong}: Invalid event type for '{name}'")
        if self._closed:
            return _refused(403, "Extension.RegistrationClosed", "Extension registration closed already")
        if any(one.name == name for one in self._known.values()):
            return _refused(403, "Extension.InvalidExtensionState", f"'{name}' has registered already")
        if len(self._known) >= _MAX_EXTENSIONS:
            return _refused(403, "Extension.TooManyExtensions", f"Extension limit ({_MAX_EXTENSIONS}) reached")
        return None

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
