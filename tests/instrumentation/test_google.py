"""Google Cloud Functions under the real functions-framework: gunicorn, its fork and threads; flask on Cloud Run."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google_host import CODE, PARENT, SPAN, TRACE, Answer, Framework, Serve
from polling import wait_until


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
        "    with faasight.span(request.args['name']):\n        meet.wait(180)\n    return f",
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
        pid = framework.call(timeout=20).body.split()[0]
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
        framework.call("/die", headers={"Function-Execution-Id": "killed-one"}, timeout=180)
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
        assert answer.result(180).status == {"4": 200, "1": 500}[threads], "as it is without us"
    assert span.attributes["faasight.outcome"] == "timeout"
    assert span.attributes["faasight.timeout_ms"] == 1_000
    assert len(sink.invocations()) == 1, "told once, whatever comes then"


def test_an_init_that_fails_is_told(serve: Serve, sink: Any) -> None:
    framework = serve("import faasight.auto\nimport no_such_module\n", listening=False)
    assert framework.process.wait(180) != 0
    assert "No module named 'no_such_module'" in framework.output()
    init = sink.named("INIT")
    assert init.attributes["faasight.outcome"] == "init_error"
    assert init.attributes["error.type"] == "ModuleNotFoundError"


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
