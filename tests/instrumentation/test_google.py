"""Google Cloud Functions under the real functions-framework: gunicorn, its fork, its threads, flask and starlette."""

import http.client
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google_host import HOST, Answer, Framework, need
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from polling import wait_until

CODE = """
import faasight.auto
import functions_framework


@functions_framework.http
def hello(request):
    return f"hello {request.args.get('name', '')}"
"""
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
CLOUD = {
    "K_SERVICE": "hello-service",
    "K_REVISION": "hello-service-00007-abc",
    "K_CONFIGURATION": "hello-service",
    "GOOGLE_CLOUD_PROJECT": "shop-project",
    "GOOGLE_CLOUD_REGION": "europe-west3",
    "OTEL_RESOURCE_ATTRIBUTES": "faas.max_memory=268435456",
}


Serve = Callable[..., Framework]


@pytest.fixture
def serve(sink: Any, tmp_path: Path) -> Iterator[Serve]:
    """Start functions: `serve(code, target="hello", LOG_EXECUTION_ID="true")`."""
    need(HOST)
    started: list[Framework] = []

    def start(code: str = CODE, target: str = "hello", *, listening: bool = True, **environment: str) -> Framework:
        folder = tmp_path / f"function{len(started)}"
        folder.mkdir()
        defaults = CLOUD | {"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_STRICT": "1"}
        framework = Framework(folder, code, target, defaults | environment)
        started.append(framework)
        if listening:
            wait_until(framework.listens, "the framework listens")
        return framework

    yield start
    for framework in started:
        framework.close()


def test_one_line_makes_a_request_a_span(serve: Serve, sink: Any) -> None:
    framework = serve()
    told = {"Function-Execution-Id": "exec-1", "traceparent": PARENT, "tracestate": "faasight=f:front"}
    assert framework.call("/orders?name=secret", headers=told) == Answer(200, "hello secret")
    (span,) = sink.wait()
    assert (span.name, span.trace_id, span.parent_id) == ("GET", TRACE, SPAN)
    assert span.attributes | {"faasight.memory_used": 0, "faasight.overhead_ms": 0} == {
        "faas.invocation_id": "exec-1",
        "faas.coldstart": True,
        "faas.trigger": "http",
        "faasight.caller": "front",
        "faasight.init_type": "on-demand",
        "faasight.source.kind": "url",
        "faasight.source.name": "hello-service",
        "faasight.outcome": "ok",
        "faasight.memory_used": 0,
        "faasight.overhead_ms": 0,
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.path": "/orders",
    }
    resource = {key: value for key, value in span.resource.items() if key.startswith(("faas.", "cloud.", "service."))}
    assert len(resource.pop("faas.instance")) == 16
    assert resource == {
        "service.name": "hello-service",
        "faas.name": "hello-service",
        "faas.version": "hello-service-00007-abc",
        "faas.max_memory": "268435456",
        "cloud.provider": "gcp",
        "cloud.platform": "gcp_cloud_functions",
        "cloud.region": "europe-west3",
        "cloud.account.id": "shop-project",
    }
    assert b"secret" not in b"".join(body for _, _, body in sink.requests)
    assert framework.output() == "", "nothing of ours is on stdout or stderr"


def test_the_init_is_told_with_the_imports_below_the_line(serve: Serve, sink: Any) -> None:
    slow = "import time\ntime.sleep(0.03)\n"
    code = CODE.replace("import functions_framework", "import functions_framework\nimport slow_library")
    framework = serve(
        code.replace("import faasight.auto", f"import pathlib\npathlib.Path('slow_library.py').write_text({slow!r})\n"
                     "import faasight.auto")
    )  # fmt: skip
    framework.call()
    framework.call()
    first, second = sink.wait(2)
    assert (first.attributes["faas.coldstart"], second.attributes["faas.coldstart"]) == (True, False)
    init, imported = sink.named("INIT"), sink.named("import slow_library")
    assert (init.trace_id, init.parent_id) == (first.trace_id, first.span_id)
    assert imported.parent_id == init.span_id
    assert init.raw.end_time_unix_nano <= first.raw.start_time_unix_nano
    assert (
        init.attributes["faasight.overhead_ms"]
        < 0.9 * (init.raw.end_time_unix_nano - init.raw.start_time_unix_nano) / 1e6
    ), "the user's imports are none of ours"


@pytest.mark.parametrize(
    "decorators",
    ["@faasight.observe\n@functions_framework.http", "@functions_framework.http\n@faasight.observe"],
    ids=["above", "below"],
)
@pytest.mark.parametrize("line", ["import faasight", "import faasight, faasight.auto"])
def test_the_decorator_in_either_order_makes_one_span(serve: Serve, sink: Any, decorators: str, line: str) -> None:
    code = CODE.replace("import faasight.auto", line).replace("@functions_framework.http", decorators)
    assert serve(code).call("/?name=you").body == "hello you"
    (span,) = sink.wait()
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET", 200)


ANSWERS = """
import faasight.auto
import flask
import functions_framework


@functions_framework.http
def hello(request):
    kind = request.path[1:]
    if kind == "raises":
        raise KeyError("no such order")
    if kind.startswith("abort"):
        flask.abort(int(kind[5:]))
    return {
        "tuple": ("gone", 410), "text": ("busy", "503 BUSY"), "headers": ("x", {"a": "b"}), "none": None,
        "response": flask.Response("teapot", status=418), "json": {"statusCode": 500}, "three": ("x", 502, {"a": "b"}),
    }[kind]
"""


def test_answers_and_failures_are_what_flask_makes_of_them(serve: Serve, sink: Any) -> None:
    """The status seen is the status that went out, and an `abort(404)` is an answer."""
    framework = serve(ANSWERS)
    kinds = ("tuple", "text", "headers", "none", "response", "json", "three", "abort404", "abort503", "raises")
    went_out = {kind: framework.call(f"/{kind}").status for kind in kinds}
    assert went_out == {
        "tuple": 410, "text": 503, "headers": 200, "none": 500, "response": 418, "json": 200, "three": 502,
        "abort404": 404, "abort503": 503, "raises": 500,
    }  # fmt: skip
    spans = {span.attributes["url.path"][1:]: span for span in sink.wait(len(kinds))}
    seen = {kind: spans[kind].attributes.get("http.response.status_code") for kind in kinds}
    assert seen == went_out | {"raises": None}, "an exception becomes an answer only outside of the function"
    outcomes = {kind: spans[kind].attributes["faasight.outcome"] for kind in kinds}
    failed = {"text", "none", "three", "abort503", "raises"}
    assert outcomes == {kind: "error" if kind in failed else "ok" for kind in kinds}
    assert spans["raises"].attributes["error.type"] == "KeyError"
    assert spans["abort503"].attributes["error.type"] == "503"


def test_threads_of_one_worker_never_mix(serve: Serve, sink: Any) -> None:
    """50 requests at once: each span has its own execution id, its own child, its own trace."""
    code = CODE.replace(
        "import functions_framework", "import functions_framework, threading\nmeet = threading.Barrier(10)"
    )
    code = code.replace(
        "    return f",
        "    with faasight.span(request.args['name']):\n        meet.wait(10)\n    return f",
    )
    framework = serve(code, THREADS="10")
    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(
            lambda n: framework.call(f"/?name=n{n}", headers={"Function-Execution-Id": f"n{n}"}), range(50)
        )
        assert [answer.body for answer in answers] == [f"hello n{n}" for n in range(50)]
    invocations = {span.span_id: span for span in sink.wait(50)}
    children = [span for span in sink.spans() if span.name.startswith("n")]
    assert sorted(child.name for child in children) == sorted(f"n{n}" for n in range(50))
    for child in children:
        parent = invocations[child.parent_id]
        assert (parent.attributes["faas.invocation_id"], parent.trace_id) == (child.name, child.trace_id)
    assert sum(span.attributes["faas.coldstart"] for span in invocations.values()) == 1
    assert len({span.resource["faas.instance"] for span in invocations.values()}) == 1


def test_forked_workers_send_by_sockets_of_their_own(serve: Serve, sink: Any) -> None:
    """The agent is made in gunicorn's master, and has a connection there; a killed worker is followed by another."""
    code = CODE.replace(
        "@functions_framework.http",
        "faasight.metric('started', 1)\nfaasight.flush()\nimport os\n@functions_framework.http",
    )
    code = code.replace('return f"hello', 'return f"{os.getpid()} hello')
    framework = serve(code, GUNICORN_CMD_ARGS="", FAASIGHT_STRICT="0")
    first = framework.call().body.split()[0]
    sink.wait(1)
    os.kill(int(first), signal.SIGKILL)
    second = wait_until(lambda: _other_worker(framework, first), "another worker answers")
    assert second != first != str(framework.process.pid)
    assert len(sink.wait(2)) == 2
    assert len([metric for metric in sink.metrics() if metric.name == "started"]) == 1, "the master's, sent once"


def _other_worker(framework: Framework, first: str) -> str:
    try:
        pid = framework.call(timeout=5).body.split()[0]
    except OSError:  # the socket is there, its worker is not
        return ""
    return pid if pid != first else ""


def test_a_worker_killed_in_a_call_is_told_by_the_next(serve: Serve, sink: Any) -> None:
    code = CODE.replace(
        "    return f",
        "    import os, signal\n    if request.path == '/die': os.kill(os.getpid(), signal.SIGKILL)\n    return f",
    )
    framework = serve(code)
    with pytest.raises(OSError):
        framework.call("/die", headers={"Function-Execution-Id": "killed-one"}, timeout=5)
    wait_until(lambda: _other_worker(framework, ""), "another worker answers")
    killed = {span.attributes["faas.invocation_id"]: span for span in sink.wait(2)}["killed-one"]
    assert killed.attributes["faasight.killed"] is True
    assert killed.attributes["error.type"] == "killed"


@pytest.mark.parametrize("threads", ["4", "1"])
def test_a_timeout_is_told_before_it_comes(serve: Serve, sink: Any, threads: str) -> None:
    """Threads go on unharmed; a worker that serves one request at a time is aborted by gunicorn."""
    code = CODE.replace("    return f", "    import threading\n    threading.Event().wait(3)\n    return f")
    framework = serve(code, CLOUD_RUN_TIMEOUT_SECONDS="1", THREADS=threads)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(framework.call)
        (span,) = sink.wait()
        assert answer.result(20).status == {"4": 200, "1": 500}[threads], "as it is without us"
    assert span.attributes["faasight.outcome"] == "timeout"
    assert span.attributes["faasight.timeout_ms"] == 1_000
    assert len(sink.invocations()) == 1, "told once, whatever comes then"


def test_an_init_that_fails_is_told(serve: Serve, sink: Any) -> None:
    framework = serve("import faasight.auto\nimport no_such_module\n", listening=False)
    assert framework.process.wait(20) != 0
    assert "No module named 'no_such_module'" in framework.output()
    init = sink.named("INIT")
    assert init.attributes["faasight.outcome"] == "init_error"
    assert init.attributes["error.type"] == "ModuleNotFoundError"


EVENTS = """
import faasight.auto
import functions_framework


@functions_framework.cloud_event
def hello(event):
    assert event["id"] == "e1"
    if event["type"].endswith("poison"):
        raise ValueError("poison")
"""


def test_cloud_events(serve: Serve, sink: Any) -> None:
    """A message of Pub/Sub as Eventarc pushes it: the sender's trace, the wait, the execution id of its request."""
    framework = serve(EVENTS)
    message = {"messageId": "m1", "publishTime": "2026-11-21T10:00:00Z", "attributes": {"traceparent": PARENT}}
    source = "//pubsub.googleapis.com/projects/p/topics/orders"
    answer = framework.event(
        "google.cloud.pubsub.topic.v1.messagePublished", source, {"message": message, "subscription": "s"},
        **{"Function-Execution-Id": "exec-2"},
    )  # fmt: skip
    assert answer.status == 200, framework.output()
    other = framework.event(
        "com.example.poison", "/shop", {"a": "secret"}, **{"X-Cloud-Trace-Context": f"{'ab' * 16}/7;o=1"}
    )
    assert other.status == 500
    spans = {span.name: span for span in sink.wait(2)}
    topic, poison = spans["process orders"], spans["process com.example.poison"]
    assert (topic.trace_id, topic.parent_id) == (TRACE, SPAN)
    assert topic.attributes["faas.invocation_id"] == "exec-2"
    assert topic.attributes["faasight.source.ids"] == ["m1", "e1"]
    assert topic.attributes["faasight.queue_wait_ms"] > 0
    assert poison.trace_id == "ab" * 16
    assert poison.attributes["error.type"] == "ValueError"
    assert len(poison.attributes["faas.invocation_id"]) == 12, "the framework made one"


def test_background_functions_of_the_first_generation(serve: Serve, sink: Any) -> None:
    framework = serve(
        "import faasight.auto\ndef hello(data, context):\n    assert data['data']\n", FUNCTION_SIGNATURE_TYPE="event"
    )
    kind = "type.googleapis.com/google.pubsub.v1.PubsubMessage"
    topic = {"service": "pubsub.googleapis.com", "name": "projects/p/topics/orders", "type": kind}
    told = {"eventId": "e7", "timestamp": "2026-11-21T10:00:00Z", "eventType": "google.pubsub.topic.publish"}
    event = {"context": told | {"resource": topic}, "data": {"@type": kind, "data": "c2VjcmV0", "attributes": {}}}
    assert framework.call("/", json.dumps(event).encode(), {"Content-Type": "application/json"}).status == 200
    (span,) = sink.wait()
    assert (span.name, span.attributes["faasight.source.name"]) == ("process orders", "orders")
    assert span.attributes["faasight.source.ids"] == ["e7"]
    assert span.attributes["faasight.queue_wait_ms"] > 0


def test_typed_functions(serve: Serve, sink: Any) -> None:
    """They are given an object of the user's; the request around it tells what came."""
    code = """
import faasight.auto
import flask
import functions_framework


class Order:
    def __init__(self, id): self.id = id
    @staticmethod
    def from_dict(told): return Order(told["id"])
    def to_dict(self): return {"id": self.id}


@functions_framework.typed
def hello(order: Order):
    if not order.id:
        return None
    if order.id < 0:
        flask.abort(404)
    return Order(order.id * 2)
"""
    framework = serve(code)
    asked = {"Content-Type": "application/json", "Function-Execution-Id": "exec-3"}
    assert json.loads(framework.call("/", b'{"id": 21}', asked).body) == {"id": 42}
    went_out = [framework.call("/", body, asked).status for body in (b'{"id": 0}', b'{"id": -1}')]
    assert went_out == [200, 500], "an abort is a failure like any other here"
    span, nothing, aborted = sink.wait(3)
    assert (span.name, span.attributes["faas.trigger"]) == ("POST", "http")
    assert span.attributes["faas.invocation_id"] == "exec-3"
    assert (nothing.attributes["http.response.status_code"], nothing.attributes["faasight.outcome"]) == (200, "ok")
    assert aborted.attributes["faasight.outcome"] == "error"


ASYNC = """
import faasight.auto
import asyncio
import functions_framework.aio
from starlette.exceptions import HTTPException
from starlette.responses import Response


@functions_framework.aio.http
async def hello(request):
    with faasight.span(request.query_params["name"]):
        await asyncio.sleep(0.02)
    if request.url.path == "/teapot":
        raise HTTPException(418)
    if request.url.path == "/busy":
        return Response("busy", status_code=503)
    return "hello", 201


@functions_framework.aio.http
def plain(request):
    return "hello"


@functions_framework.aio.cloud_event
async def event(event):
    pass
"""


def test_asynchronous_functions(serve: Serve, sink: Any) -> None:
    """Under uvicorn's worker: many on one event loop, each with its own spans."""
    framework = serve(ASYNC)
    with ThreadPoolExecutor(8) as pool:
        headers = [{"Function-Execution-Id": f"n{n}"} for n in range(8)]
        paths = ["/?name=n0", "/teapot?name=n1", "/busy?name=n2", *(f"/?name=n{n}" for n in range(3, 8))]
        statuses = [answer.status for answer in pool.map(framework.call, paths, [None] * 8, headers)]
    assert statuses == [201, 418, 503, 201, 201, 201, 201, 201]
    spans = {span.attributes["faas.invocation_id"]: span for span in sink.wait(8)}
    assert [spans[f"n{n}"].attributes["http.response.status_code"] for n in range(8)] == statuses
    assert spans["n1"].attributes["faasight.outcome"] == "ok"
    assert spans["n2"].attributes["error.type"] == "503"
    children = {span.name: span for span in sink.spans() if span.name.startswith("n")}
    assert {name: child.parent_id for name, child in children.items()} == {n: s.span_id for n, s in spans.items()}


@pytest.mark.parametrize("target", ["plain", "event"])
def test_synchronous_functions_and_events_under_asgi(serve: Serve, sink: Any, target: str) -> None:
    framework = serve(ASYNC, target)
    told = {"Function-Execution-Id": "exec-4"}
    answer = (
        framework.event("com.example.order", "/shop", {}, **told)
        if target == "event"
        else framework.call("/", headers=told)
    )
    assert answer.status == 200, framework.output()
    (span,) = sink.wait()
    assert span.attributes["faas.invocation_id"] == "exec-4"
    assert span.name == ("process com.example.order" if target == "event" else "GET")


STREAMS = """
import faasight.auto
import flask
import functions_framework


def lines(name):
    for number in range(3):
        with faasight.span(f"{name}{number}"):
            yield f"{number}\\n"
        if name == "fails" and number:
            raise ValueError("half of it")


@functions_framework.http
def hello(request):
    name = request.path[1:]
    if name == "context":
        return flask.Response(flask.stream_with_context(lines(name)), status=206)
    return lines(name) if name == "bare" else flask.Response(lines(name), status=203)
"""

ASYNC_STREAMS = """
import faasight.auto
import functions_framework.aio
from starlette.responses import StreamingResponse


async def lines(name):
    for number in range(3):
        with faasight.span(f"{name}{number}"):
            yield f"{number}\\n"


@functions_framework.aio.http
async def hello(request):
    return StreamingResponse(lines(request.url.path[1:]), status_code=203)
"""


@pytest.mark.parametrize(
    ("code", "statuses"),
    [(STREAMS, {"response": 203, "context": 206, "bare": 200}), (ASYNC_STREAMS, {"response": 203})],
    ids=["flask", "starlette"],
)
def test_a_stream_is_measured_to_its_end(serve: Serve, sink: Any, code: str, statuses: dict[str, int]) -> None:
    """What its body does is within the invocation; the status is the one that went out before."""
    framework = serve(code)
    for name, status in statuses.items():
        assert framework.call(f"/{name}") == Answer(status, "0\n1\n2\n"), framework.output()
    spans = {span.attributes["url.path"][1:]: span for span in sink.wait(len(statuses))}
    assert {name: span.attributes["http.response.status_code"] for name, span in spans.items()} == statuses
    for name, span in spans.items():
        last = sink.named(f"{name}2")
        assert last.parent_id == span.span_id
        assert last.raw.end_time_unix_nano <= span.raw.end_time_unix_nano


def test_a_stream_that_breaks_is_a_failure(serve: Serve, sink: Any) -> None:
    framework = serve(STREAMS)
    with pytest.raises(http.client.IncompleteRead):
        framework.call("/fails")
    (span,) = sink.wait()
    assert (span.attributes["error.type"], span.attributes["faasight.outcome"]) == ("ValueError", "error")
    assert framework.call("/response").status == 203


def test_a_view_of_flask_on_cloud_run(sink: Any, new_agent: Any) -> None:
    """Without the framework: the decorator finds the request that flask serves."""
    import faasight
    import flask
    from faasight import google

    new_agent(FAASIGHT_ENDPOINT=sink.endpoint).host = google
    app = flask.Flask("shop")

    @app.get("/orders/<order>")
    @faasight.observe
    def order_of(order: str) -> Any:
        return flask.abort(404) if order == "none" else {"id": order}

    client = app.test_client()
    assert client.get("/orders/7", headers={"traceparent": PARENT}).json == {"id": "7"}
    assert client.get("/orders/none").status_code == 404
    found, none = sink.wait(2)
    assert (found.name, found.trace_id, found.attributes["url.path"]) == ("GET", TRACE, "/orders/7")
    assert (none.attributes["http.response.status_code"], none.attributes["faasight.outcome"]) == (404, "ok")


LOGGING = CODE.replace(
    "    return f",
    """    import logging, sys
    logging.getLogger("shop").warning("stock is low", extra={"item": "tea", "password": "secret"})
    faasight.get_logger("shop").info("order", order=7)
    return f""",
)


@pytest.mark.parametrize("label", ["", "true"])
def test_log_lines_are_as_cloud_logging_reads_them(serve: Serve, sink: Any, label: str) -> None:
    """Severity, trace, span and execution id where Cloud Logging looks for them; the framework's own labels agree."""
    framework = serve(LOGGING, LOG_EXECUTION_ID=label)
    framework.call(headers={"Function-Execution-Id": "exec-5", "traceparent": PARENT})
    (span,) = sink.wait()
    warning, info = wait_until(lambda: len(framework.lines()) == 2 and framework.lines(), "two lines")
    assert (warning["severity"], warning["level"], warning["message"], warning["item"]) == (
        "WARNING", "WARN", "stock is low", "tea",
    )  # fmt: skip
    assert (info["severity"], info["message"], info["order"]) == ("INFO", "order", 7)
    for line in (warning, info):
        assert line["logging.googleapis.com/trace"] == f"projects/shop-project/traces/{TRACE}"
        assert line["logging.googleapis.com/labels"] == {"execution_id": "exec-5"}
        assert (line["request_id"], line["trace_id"], line["span_id"]) == ("exec-5", TRACE, span.span_id)
        assert (line["function"], line["version"]) == ("hello-service", "hello-service-00007-abc")
    assert "secret" not in framework.output()


def test_log_lines_reach_the_collector_by_choice(serve: Serve, sink: Any) -> None:
    """With the handlers of the user's own, and of the asynchronous kind too: the trace is the invocation's."""
    framework = serve(LOGGING, FAASIGHT_SEND_LOGS="1")
    framework.call(headers={"Function-Execution-Id": "exec-6", "traceparent": PARENT})
    bodies = wait_until(lambda: [body for path, _, body in sink.requests if path == "/v1/logs"], "log records come")
    sent = ExportLogsServiceRequest.FromString(b"".join(bodies))
    (group,) = sent.resource_logs
    told = [record for scope in group.scope_logs for record in scope.log_records]
    assert [record.body.string_value for record in told] == ["stock is low", "order"]
    assert {record.trace_id.hex() for record in told} == {TRACE}
    keys = {item.key for record in told for item in record.attributes}
    assert keys == {"logger", "faas.invocation_id", "cold_start", "item", "password", "order"}
    assert b"secret" not in bodies[0]
    assert len(framework.lines()) == 2, "and on stdout, once"


@pytest.mark.parametrize("form", ["mine: %(message)s", ""], ids=["a format of one's own", "none"])
def test_a_logging_of_the_users_own_stays(serve: Serve, sink: Any, form: str) -> None:
    """`basicConfig` with a format is a wish; without one, the line is JSON at the level that was asked for."""
    wish = f"format={form!r}, " if form else ""
    code = LOGGING.replace(
        "import functions_framework",
        f"import functions_framework, logging, sys\nlogging.basicConfig({wish}stream=sys.stdout, level='INFO')",
    ).replace('getLogger("shop").warning(', 'getLogger("shop").info(')
    framework = serve(code)
    framework.call()
    sink.wait()
    if form:
        assert "mine: stock is low" in framework.output()
    else:
        assert "stock is low" in [line["message"] for line in framework.lines()]


def test_nothing_is_wrapped_when_switched_off(serve: Serve, sink: Any) -> None:
    assert serve(FAASIGHT_DISABLED="1").call("/?name=you").body == "hello you"
    assert sink.requests == []


def test_a_task_that_is_refused_is_a_failure(serve: Serve, sink: Any) -> None:
    """Cloud Tasks calls again after any answer but a 2xx."""
    framework = serve(ANSWERS)
    told = {"X-CloudTasks-QueueName": "mails", "X-CloudTasks-TaskName": "t1", "X-CloudTasks-TaskRetryCount": "2"}
    assert framework.call("/abort404", b"", told).status == 404
    (span,) = sink.wait()
    assert (span.name, span.attributes["faasight.attempt"], span.attributes["error.type"]) == (
        "process mails",
        3,
        "404",
    )
    assert span.attributes["faasight.outcome"] == "error"
