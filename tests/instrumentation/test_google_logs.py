"""Log lines of Google Cloud Functions: in Cloud Logging's shape, and to the collector by choice."""

from typing import Any

import pytest
from google_host import CODE, PARENT, TRACE, Serve
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from polling import wait_until

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
