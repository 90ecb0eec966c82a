"""A small external extension, stdlib alone: registers, subscribes, and writes down all that it is told.

Its notes go to the file EXTENSION_NOTES, a JSON value a line. EXTENSION_DOES says how it misbehaves.
"""

import json
import os
import sys
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

NAME = os.environ.get("EXTENSION_NAME", Path(sys.argv[0]).name)
EVENTS = os.environ.get("EXTENSION_EVENTS", "INVOKE,SHUTDOWN").split(",")
DOES = os.environ.get("EXTENSION_DOES", "")
LOCK = Lock()


def note(what: str, value: Any) -> None:
    with LOCK, Path(os.environ["EXTENSION_NOTES"]).open("a") as file:
        file.write(json.dumps([what, value]) + "\n")


class Listener(BaseHTTPRequestHandler):
    """Takes telemetry."""

    def do_POST(self) -> None:
        """Take a batch."""
        for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            note("telemetry", event)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
        """Stay silent."""


def ask(connection: HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[Any, Any]:
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.headers, json.loads(answer.read())


def main() -> None:
    if DOES == "leave at once":
        sys.exit(3)
    connection = HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    headers, told = ask(
        connection,
        "POST",
        "/2020-01-01/extension/register",
        {"events": EVENTS},
        {"Lambda-Extension-Name": NAME, "Lambda-Extension-Accept-Feature": "accountId"},
    )
    note("registered", told)
    if "errorType" in told:
        sys.exit(5)
    mine = {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    destination = {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{server.server_address[1]}/"}
    wish = {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "destination": destination}
    wish["buffering"] = {"maxItems": 1000, "maxBytes": 262144, "timeoutMs": 25}
    note("subscribed", ask(connection, "PUT", "/2022-07-01/telemetry", wish, mine)[1])
    print("the extension prints", flush=True)  # noqa: T201 -- this line is looked for
    while True:
        _, event = ask(connection, "GET", "/2020-01-01/extension/event/next", None, mine)
        note(event["eventType"], event)
        if event["eventType"] == "SHUTDOWN":
            time.sleep(600 if DOES == "hang at the end" else 0.2)
            note("bye", {})
            return
        if DOES == "crash":
            os._exit(4)
        if DOES == "work on":
            time.sleep(1.5)


main()
