"""Azure's v1 model (function.json) under its own runtime library: each function a folder, wrapped by the decorator."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure_host import HOST, AzureHost
from google_host import need

from .test_azure import CLOUD, PARENT, SPAN, TRACE, URL

HTTP = """
import azure.functions as func
import faasight

@faasight.observe
def main(req: func.HttpRequest) -> func.HttpResponse:
    if req.params.get("fail"):
        raise KeyError("no such order")
    return func.HttpResponse("tea", status_code=int(req.params.get("status", "200")))
"""
QUEUE = """
import azure.functions as func
import faasight

@faasight.observe
async def main(message: func.QueueMessage, out: func.Out[str], context: func.Context) -> None:
    with faasight.span("charge"):
        out.set(f"{message.get_body().decode()} in {context.function_name}")
"""
OF_HTTP = {"req": ("httpTrigger", "in"), "$return": ("http", "out")}
OF_QUEUE = {"message": ("queueTrigger", "in"), "out": ("queue", "out")}

Serve = Callable[[], AzureHost]


@pytest.fixture
def serve(sink: Any, tmp_path: Path) -> Iterator[Serve]:
    """Start an application without functions."""
    need(HOST)
    started: list[AzureHost] = []

    def start() -> AzureHost:
        environment = {"FAASIGHT_ENDPOINT": sink.endpoint, "AZURE_RUNTIME": "azure_functions_runtime_v1"}
        host = AzureHost(tmp_path, "", CLOUD | environment)
        started.append(host)
        told = host.ask("worker_init_request", host_version="4.0", function_app_directory=str(tmp_path))
        assert told.worker_init_response.result.status == host.protos.StatusResult.Success
        return host

    yield start
    for host in started:
        host.close()


def test_a_request(serve: Serve, sink: Any) -> None:
    host = serve()
    status = host.load_v1("orders", HTTP, OF_HTTP)
    assert status.status == host.protos.StatusResult.Success, status
    answer = host.http("orders", "GET", f"{URL}?code=secret", {"traceparent": PARENT})
    assert (answer.status_code, answer.body.bytes) == ("200", b"tea")
    (span,) = sink.wait()
    assert (span.trace_id, span.parent_id, span.resource["faas.name"]) == (TRACE, SPAN, "shop/orders")
    told = {key: span.attributes[key] for key in ("faas.invocation_id", "faas.trigger", "faasight.outcome")}
    assert told == {"faas.invocation_id": "invocation-of-orders", "faas.trigger": "http", "faasight.outcome": "ok"}
    assert (span.attributes["http.response.status_code"], span.attributes["url.path"]) == (200, "/api/orders/7")
    assert b"secret" not in b"".join(body for _, _, body in sink.requests)


def test_a_failure_and_a_5xx(serve: Serve, sink: Any) -> None:
    host = serve()
    host.load_v1("orders", HTTP, OF_HTTP)
    failed = host.call("orders", {"http": {"method": "GET", "url": URL, "query": {"fail": "1"}}})
    assert failed.result.status == host.protos.StatusResult.Failure
    assert "no such order" in failed.result.exception.message
    answer = host.call("orders", {"http": {"method": "GET", "url": URL, "query": {"status": "503"}}})
    assert answer.return_value.http.status_code == "503"
    first, second = sorted(sink.wait(2), key=lambda span: span.raw.start_time_unix_nano)
    assert (first.attributes["faasight.outcome"], first.attributes["error.type"]) == ("error", "KeyError")
    assert (second.attributes["faasight.outcome"], second.attributes["error.type"]) == ("error", "503")


def test_a_message_with_an_output_and_a_context(serve: Serve, sink: Any) -> None:
    """Two functions in one process: each tells of itself."""
    host = serve()
    for name, code, bindings in (("orders", HTTP, OF_HTTP), ("invoice", QUEUE, OF_QUEUE)):
        status = host.load_v1(name, code, bindings)
        assert status.status == host.protos.StatusResult.Success, status
    told = host.call("invoice", {"string": "7 pounds"}, trace_context={"trace_parent": PARENT})
    assert told.result.status == host.protos.StatusResult.Success, told.result
    assert told.output_data[0].data.string == "7 pounds in invoice"
    host.http("orders", "GET", URL)
    spans = {span.resource["faas.name"]: span for span in sink.wait(2)}
    assert spans.keys() == {"shop/orders", "shop/invoice"}
    message = spans["shop/invoice"]
    assert (message.trace_id, message.attributes["faas.trigger"]) == (TRACE, "pubsub")
    assert sink.named("charge").parent_id == message.span_id


def test_what_cannot_be_loaded_says_so_as_without_us(serve: Serve, sink: Any) -> None:
    host = serve()
    status = host.load_v1("orders", "import faasight, missing_library\n" + HTTP, OF_HTTP)
    assert status.status == host.protos.StatusResult.Failure
    assert "missing_library" in status.exception.message
    wrong = HTTP.replace("req: func", "request: func").replace("req.", "request.")
    status = host.load_v1("wrong", wrong, OF_HTTP)
    assert status.status == host.protos.StatusResult.Failure
    assert "request" in status.exception.message
    assert "faasight" not in status.exception.message
