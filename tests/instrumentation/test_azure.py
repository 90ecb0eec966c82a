"""Azure Functions under Azure's own runtime library: v2 decorators, the pool of threads, the event loop, bindings."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure_host import HOST, AzureHost
from faasight.spans import now_ns
from google_host import need
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from polling import wait_until

HEAD = """
import faasight.auto
import azure.functions as func

app = func.FunctionApp()
"""
ORDERS = (
    HEAD
    + """
@app.route(route="orders/{id}", methods=["GET"])
def orders(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello", status_code=int(req.params.get("status", "200")))
"""
)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
OTHER = f"00-{'ab' * 16}-{'cd' * 8}-01"
CLOUD = {
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "WEBSITE_SITE_NAME": "shop",
    "WEBSITE_INSTANCE_ID": "instance-1",
    "WEBSITE_OWNER_NAME": "0000-subscription+shop-group-WestEuropewebspace-Linux",
    "WEBSITE_RESOURCE_GROUP": "shop-group",
    "WEBSITE_MEMORY_LIMIT_MB": "1500",
    "REGION_NAME": "West Europe",
}
URL = "https://shop.azurewebsites.net/api/orders/7"

Serve = Callable[..., AzureHost]


@pytest.fixture
def serve(sink: Any, tmp_path: Path) -> Iterator[Serve]:
    """Start an application: `serve(code)`; its functions are loaded unless `loaded=False`."""
    need(HOST)
    started: list[AzureHost] = []

    def start(code: str = ORDERS, *, loaded: bool = True, **environment: str) -> AzureHost:
        folder = tmp_path / f"app{len(started)}"
        folder.mkdir()
        own = {"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_STRICT": "1", "FAASIGHT_FLUSH_TIMEOUT": "10"}
        own["FAASIGHT_START_AFTER"] = "30"
        host = AzureHost(folder, code, CLOUD | own | environment)
        started.append(host)
        if loaded:
            status = host.load()
            assert status.status == host.protos.StatusResult.Success, status
        return host

    yield start
    for host in started:
        host.close()


def test_one_line_makes_a_request_a_span(serve: Serve, sink: Any) -> None:
    host = serve()
    answer = host.http(
        "orders",
        "GET",
        f"{URL}?code=secret",
        {"x-api-key": "secret", "traceparent": PARENT},
        trace_context={"trace_parent": OTHER},
    )
    assert (answer.status_code, answer.body.bytes) == ("200", b"hello")
    (span,) = sink.wait()
    assert (span.name, span.trace_id, span.parent_id) == ("GET /api/orders/{id}", TRACE, SPAN)
    assert span.attributes | {"faasight.memory_used": 0, "faasight.overhead_ms": 0} == {
        "faas.invocation_id": "invocation-of-orders",
        "faasight.overhead_ms": 0,
        "faas.coldstart": True,
        "faas.trigger": "http",
        "faasight.init_type": "on-demand",
        "faasight.source.kind": "url",
        "faasight.source.name": "shop",
        "faasight.outcome": "ok",
        "faasight.memory_used": 0,
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/api/orders/{id}",
        "url.path": "/api/orders/7",
    }
    resource = {key: value for key, value in span.resource.items() if key.startswith(("faas.", "cloud.", "service."))}
    assert resource == {
        "service.name": "shop",
        "faas.name": "shop/orders",
        "faas.instance": "instance-1",
        "faas.max_memory": 1500 * 1024 * 1024,
        "cloud.provider": "azure",
        "cloud.platform": "azure.functions",
        "cloud.region": "West Europe",
        "cloud.account.id": "0000-subscription",
        "cloud.resource_id": "/subscriptions/0000-subscription/resourceGroups/shop-group/providers/Microsoft.Web"
        "/sites/shop",
    }
    assert b"secret" not in b"".join(body for _, _, body in sink.requests)
    assert host.output() == "", "nothing of ours is on stdout or stderr"


def test_the_init_is_told_once_with_the_imports_below_the_line(serve: Serve, sink: Any) -> None:
    slow = "import time\ntime.sleep(0.03)\n"
    code = f"import pathlib\npathlib.Path('slow_library.py').write_text({slow!r})\n" + ORDERS.replace(
        "import azure.functions", "import slow_library\nimport azure.functions"
    )
    host = serve(code)
    host.http("orders", "GET", URL)
    host.http("orders", "GET", URL)
    first, second = sink.wait(2)
    assert (first.attributes["faas.coldstart"], second.attributes["faas.coldstart"]) == (True, False)
    init, imported = sink.named("INIT"), sink.named("import slow_library")
    assert (init.parent_id, imported.parent_id) == (first.span_id, init.span_id)
    assert init.resource["faas.name"] == "shop/orders"


ORDERED = """
import faasight
import azure.functions as func

app = func.FunctionApp()
blueprint = func.Blueprint()


@faasight.observe
@app.route(route="above/{id}")
def above(req):
    return func.HttpResponse(faasight.current_span().invocation.request_id)


@app.route(route="below/{id}")
@faasight.observe
def below(req: func.HttpRequest, context: func.Context):
    return func.HttpResponse(context.invocation_id)


@app.function_name("middle")
@faasight.observe(name="my own name")
@app.route(route="between")
async def between(req):
    return func.HttpResponse(faasight.current_span().invocation.request_id)


@blueprint.route(route="plan")
@faasight.observe
async def plan(req, context):
    return func.HttpResponse(context.invocation_id)


app.register_functions(blueprint)
"""


@pytest.mark.parametrize("line", ["import faasight", "import faasight, faasight.auto"])
def test_the_decorator_in_any_order_makes_one_span(serve: Serve, sink: Any, line: str) -> None:
    """The invocation id is the host's, whether or not the function asked for a context."""
    host = serve(ORDERED.replace("import faasight", line, 1))
    expected = {
        "above": "GET /api/above/{id}",
        "below": "GET /api/below/{id}",
        "middle": "my own name",
        "plan": "GET /api/plan",
    }
    for name in expected:
        answer = host.http(name, "GET", f"https://shop.azurewebsites.net/api/{name}/1")
        assert answer.body.bytes.decode() == f"invocation-of-{name}"
    spans = {span.resource["faas.name"].partition("/")[2]: span for span in sink.wait(4)}
    assert {name: span.name for name, span in spans.items()} == expected


def test_the_folder_of_a_function_stays_its_own(serve: Serve, sink: Any) -> None:
    """The worker takes it from the code object of what it is given: a user finds files by it."""
    code = HEAD + "@app.route()\ndef where(req, context):\n    return func.HttpResponse(context.function_directory)\n"
    host = serve(code)
    assert host.http("where", "GET", URL).body.bytes.decode() == str(host._folder)


def test_an_asgi_application(serve: Serve, sink: Any) -> None:
    """FastAPI and its like: one function of Azure's, whose route is the rest of the path."""
    code = """
import faasight.auto
import azure.functions as func


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        return await send({"type": "lifespan.startup.complete"})
    assert scope["path"] == "/api/orders/7"
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b"busy"})


app = func.AsgiFunctionApp(app=application, http_auth_level=func.AuthLevel.ANONYMOUS)
"""
    host = serve(code)
    (name,) = host.functions
    answer = host.http(name, "GET", URL)
    assert getattr(answer, "status_code", answer) == "503", host.output()
    (span,) = sink.wait()
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (503, "503")
    assert span.attributes["faas.invocation_id"] == f"invocation-of-{name}"


FAILING = (
    HEAD
    + """
@app.route()
def fails(req):
    raise KeyError("no such order")


@app.route()
async def fails_later(req):
    raise KeyError("no such order")


@app.route()
def busy(req):
    return func.HttpResponse(status_code=503)


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
def nightly(timer: func.TimerRequest) -> None:
    raise ValueError("no stock")
"""
)


def test_failures_are_seen_and_read_as_without_us(serve: Serve, sink: Any) -> None:
    plain = serve(FAILING, FAASIGHT_DISABLED="1")
    wrapped = serve(FAILING)
    for name in ("fails", "fails_later"):
        mine, theirs = wrapped.http(name, "GET", URL), plain.http(name, "GET", URL)
        assert mine.exception.message == theirs.exception.message
        lines = re.findall(r"function_app.py\", line (\d+), in (\w+)", mine.exception.stack_trace)
        assert lines[-1] == re.findall(r"function_app.py\", line (\d+), in (\w+)", theirs.exception.stack_trace)[-1]
    assert wrapped.http("busy", "GET", URL).status_code == "503"
    assert wrapped.call("nightly", {"json": '{"IsPastDue": true}'}).result.status == 0
    spans = {span.resource["faas.name"]: span for span in sink.wait(4)}
    failed = {name: span.attributes["error.type"] for name, span in spans.items()}
    assert failed == {
        "shop/fails": "KeyError", "shop/fails_later": "KeyError", "shop/busy": "503", "shop/nightly": "ValueError",
    }  # fmt: skip
    assert {span.attributes["faasight.outcome"] for span in spans.values()} == {"error"}
    nightly = spans["shop/nightly"]
    assert (nightly.name, nightly.attributes["faas.trigger"]) == ("schedule nightly", "timer")
    assert nightly.attributes["faasight.source.name"] == "nightly"
    assert nightly.attributes["azure.timer.past_due"] is True


EVENTS = (
    HEAD
    + """
@app.queue_trigger(arg_name="msg", queue_name="%MAILS%", connection="C")
def mails(msg: func.QueueMessage) -> None:
    assert msg.get_body()


@app.queue_trigger(arg_name="text", queue_name="texts", connection="C")
def texts(text: str) -> None:
    assert text == "secret"


@app.queue_trigger(arg_name="msg", queue_name="in", connection="C")
@app.queue_output(arg_name="out", queue_name="out", connection="C")
async def forward(msg: func.QueueMessage, out: func.Out[str]) -> None:
    out.set("passed on")


@app.service_bus_topic_trigger(arg_name="msg", topic_name="orders", subscription_name="s", connection="C")
def orders(msg: func.ServiceBusMessage) -> None:
    pass


@app.event_hub_message_trigger(
    arg_name="events", event_hub_name="readings", connection="C", cardinality=func.Cardinality.MANY
)
def readings(events: func.EventHubEvent) -> None:
    assert len(events) == 2


@app.blob_trigger(arg_name="blob", path="uploads/{name}", connection="C")
def uploads(blob: func.InputStream) -> None:
    pass


@app.cosmos_db_trigger(arg_name="documents", database_name="d", container_name="customers", connection="C")
def customers(documents: func.DocumentList) -> None:
    pass
"""
)


def text(value: str) -> dict[str, str]:
    return {"string": value}


def test_what_the_decorators_declare_names_the_source(serve: Serve, sink: Any) -> None:
    """Queue, topic, hub, container: the parameter does not say which; app settings (`%MAILS%`) are looked up."""
    host = serve(EVENTS, MAILS="mails-of-today")
    metadata = {
        "Id": text("m1"), "DequeueCount": text("2"), "InsertionTime": text("2026-11-21T10:00:00+00:00"),
    }  # fmt: skip
    calls = {
        "mails": ({"string": "secret"}, {"trigger_metadata": metadata, "trace_context": {"trace_parent": PARENT}}),
        "texts": ({"string": "secret"}, {"retry_context": {"retry_count": 2}}),
        "forward": ({"string": "secret"}, {"trigger_metadata": metadata}),
        "orders": (
            {"bytes": b"secret"},
            {"trigger_metadata": {
                "MessageId": text("o1"),
                "DeliveryCount": text("1"),
                "UserProperties": {"json": "{}"},
                "ApplicationProperties": {"json": json.dumps({"Diagnostic-Id": OTHER})},
            }},
        ),
        "readings": (
            {"collection_bytes": {"bytes": [b"secret", b"secret"]}},
            {"trigger_metadata": {
                "SystemPropertiesArray": {"json": json.dumps([{"SequenceNumber": 7}, {"SequenceNumber": 8}])},
                "EnqueuedTimeUtcArray": {"json": json.dumps(["2026-11-21T10:00:00Z"] * 2)},
                "PropertiesArray": {"json": json.dumps([{"traceparent": OTHER}, {"traceparent": PARENT}])},
            }},
        ),
        "uploads": ({"bytes": b"secret"}, {"trigger_metadata": {"Name": text("uploads/a.jpg")}}),
        "customers": ({"json": '[{"id": "secret"}]'}, {}),
    }  # fmt: skip
    for name, (event, more) in calls.items():
        answer = host.call(name, event, **more)
        assert answer.result.status == 1, (answer, host.output())
    spans = {span.resource["faas.name"].partition("/")[2]: span for span in sink.wait(len(calls))}
    told = {
        name: (span.name, *(span.attributes.get(f"faasight.source.{key}") for key in ("kind", "name")))
        for name, span in spans.items()
    }
    assert told == {
        "mails": ("process mails-of-today", "queue", "mails-of-today"),
        "texts": ("process texts", "queue", "texts"),
        "forward": ("process in", "queue", "in"),
        "orders": ("process orders", "topic", "orders"),
        "readings": ("process readings", "stream", "readings"),
        "uploads": ("process uploads", "bucket", "uploads"),
        "customers": ("process customers", "table", "customers"),
    }
    assert spans["mails"].attributes["messaging.destination.name"] == "mails-of-today"
    assert (spans["mails"].attributes["faasight.attempt"], spans["texts"].attributes["faasight.attempt"]) == (2, 3)
    assert (spans["mails"].trace_id, spans["mails"].parent_id) == (TRACE, ""), "the trace that the host has opened"
    assert spans["orders"].trace_id == "ab" * 16, "the sender's, and not the host's own"
    assert {link.trace_id.hex() for link in spans["readings"].raw.links} == {"ab" * 16, TRACE}
    assert {span.attributes["faas.trigger"] for span in spans.values()} == {"pubsub", "datasource"}
    assert b"secret" not in b"".join(body for _, _, body in sink.requests)


def test_the_pool_of_threads_and_the_loop_never_mix(serve: Serve, sink: Any) -> None:
    """40 at once, in threads and on the loop: each has its own id, its own child, and its own function's resource."""
    code = (
        HEAD
        + """
import asyncio, threading
meet = threading.Barrier(4)

@app.route()
def waits(req):
    with faasight.span(req.params["n"]):
        meet.wait(180)
    return func.HttpResponse("x")

@app.route()
async def sleeps(req):
    with faasight.span(req.params["n"]):
        await asyncio.sleep(0.02)
    return func.HttpResponse("x")
"""
    )
    host = serve(code, PYTHON_THREADPOOL_THREAD_COUNT="4")
    asked = []
    for name, number in ((name, number) for number in range(20) for name in ("waits", "sleeps")):
        event = {"http": {"method": "GET", "url": URL, "query": {"n": f"{name}{number}"}}}
        asked.append(host.invoke(name, event, invocation_id=f"{name}{number}"))
    assert all(future.result(180).invocation_response.result.status == 1 for future in asked), host.output()
    invocations = {span.span_id: span for span in sink.wait(40)}
    children = [span for span in sink.spans() if span.name[-1].isdigit()]
    assert len(children) == 40
    for child in children:
        parent = invocations[child.parent_id]
        name = child.name.rstrip("0123456789")
        assert (parent.attributes["faas.invocation_id"], parent.trace_id) == (child.name, child.trace_id)
        assert child.resource["faas.name"] == parent.resource["faas.name"] == f"shop/{name}"


def test_the_wait_of_a_placeholder_is_no_cold_start(new_agent: Any) -> None:
    """Azure keeps workers warm that wait for an application, for minutes."""
    from faasight import azure

    agent = new_agent()
    began = agent.coldstart.began = now_ns() - 1_000_000_000
    azure._leave_out_the_wait(agent)
    assert agent.coldstart.began == began, "a process that has just started"
    agent.coldstart.began = began - 3_600_000_000_000
    azure._leave_out_the_wait(agent)
    assert agent.coldstart.began > began - 3_600_000_000_000


def test_a_limit_among_the_application_settings_is_watched(serve: Serve, sink: Any) -> None:
    code = HEAD + "import threading\n@app.route()\ndef hangs(req):\n    threading.Event().wait(1.5)\n"
    host = serve(code, AzureFunctionsJobHost__functionTimeout="00:00:01")
    future = host.invoke("hangs", {"http": {"method": "GET", "url": URL}})
    (span,) = sink.wait()
    assert (span.attributes["faasight.outcome"], span.attributes["faasight.timeout_ms"]) == ("timeout", 1_000)
    future.result(180)


def test_log_lines_name_the_function(serve: Serve, sink: Any) -> None:
    code = ORDERS.replace("    return func", "    faasight.get_logger('shop').info('seen', order=7)\n    return func")
    host = serve(code)
    host.http("orders", "GET", URL)
    (line,) = [json.loads(line) for line in host.output().splitlines() if line.startswith("{")]
    assert (line["function"], line["request_id"], line["order"]) == ("shop/orders", "invocation-of-orders", 7)


def test_log_lines_reach_the_collector_by_choice(serve: Serve, sink: Any) -> None:
    """Those of `logging` too, which go to the host by the worker's own handler; each under its function."""
    code = ORDERS.replace("    return func", "    logging.warning('low', extra={'left': 3})\n    return func")
    host = serve("import logging\n" + code, FAASIGHT_SEND_LOGS="1")
    host.http("orders", "GET", URL)
    bodies = wait_until(lambda: [body for path, _, body in sink.requests if path == "/v1/logs"], "log records come")
    (group,) = ExportLogsServiceRequest.FromString(bodies[0]).resource_logs
    names = {item.key: item.value.string_value for item in group.resource.attributes}
    assert names["faas.name"] == "shop/orders"
    (record,) = group.scope_logs[0].log_records
    (span,) = sink.wait()
    assert (record.body.string_value, record.trace_id.hex()) == ("low", span.trace_id)


def test_an_application_that_fails_to_load_reads_as_without_us(serve: Serve, sink: Any) -> None:
    code = "import faasight.auto\nimport no_such_module\n"
    status = serve(code, loaded=False).load()
    assert "No module named 'no_such_module'" in status.exception.message
    wrong = HEAD + "@app.route()\ndef wrong(req, other):\n    pass\n"
    status = serve(wrong, loaded=False).load()
    assert "the following parameters are declared in Python" in status.exception.message
    assert "{'other'}" in status.exception.message, "and not ours"


def test_functions_are_called_directly_in_a_users_test(
    monkeypatch: pytest.MonkeyPatch, sink: Any, new_agent: Any
) -> None:
    """Without a host: `build().get_user_function()` is Azure's advice for tests, without a context."""
    import azure.functions as func
    import faasight

    for name in ("FUNCTIONS_WORKER_RUNTIME", "K_SERVICE", "FUNCTION_TARGET"):
        monkeypatch.delenv(name, raising=False)
    new_agent(FAASIGHT_ENDPOINT=sink.endpoint)
    app = func.FunctionApp()

    @faasight.observe
    @app.route(route="direct")
    def direct(req: func.HttpRequest) -> str:
        return req.method

    builder: Any = direct
    assert builder.build().get_user_function()(func.HttpRequest("GET", URL, body=b"")) == "GET"
    (span,) = sink.wait()
    assert (span.name, len(span.attributes["faas.invocation_id"])) == ("GET /api/direct", 36)
