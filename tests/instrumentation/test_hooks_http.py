"""urllib3, requests and httpx against a real server: spans, context in headers, retries, throttles."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import aiohttp.client
import faasight
import httpx
import pytest
import requests
import urllib3
import urllib3.connectionpool
from faasight.hooks import aiohttp as aiohttp_hook
from faasight.hooks import client
from faasight.hooks import httpx as httpx_hook
from faasight.hooks import urllib3 as urllib3_hook
from quiet_server import QuietHandler, QuietServer


class Provider:
    """An external HTTP API: `/status/<n>` answers n, `/flaky` 503 once, `/redirect` sends to /status/200."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        provider = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                provider.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                path = self.path.partition("?")[0]
                status = int(path.rpartition("/")[2]) if path.startswith("/status/") else 200
                if path == "/flaky" and len(provider.seen) == 1:
                    status = 503
                if path == "/redirect":
                    self.reply(302, {"Location": "/status/200"}, b"ok")
                else:
                    self.reply(status, {}, b"ok")

        self._server = QuietServer(Handler)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop."""
        self._server.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    yield server
    server.close()


@pytest.fixture
def patched(new_agent: Any, sink: Any, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Patch the three libraries for one test."""
    agent = new_agent(
        FAASIGHT_ENDPOINT=sink.endpoint,
        OTEL_SERVICE_NAME="checkout",
        FAASIGHT_PEER_SERVICES=f"127.0.0.1:{provider.port}=payment-provider",
    )
    pool = urllib3.connectionpool.HTTPConnectionPool
    monkeypatch.setattr(pool, "urlopen", pool.urlopen)
    for transport, method in (
        (httpx.HTTPTransport, "handle_request"),
        (httpx.AsyncHTTPTransport, "handle_async_request"),
    ):
        monkeypatch.setattr(transport, method, getattr(transport, method))
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", aiohttp.ClientSession.__init__)
    aiohttp_hook.install(aiohttp.client, agent)
    urllib3_hook.install(urllib3.connectionpool, agent)
    httpx_hook.install(httpx, agent)
    return agent


def by_urllib3(url: str) -> int:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", url, redirect=False, retries=False).status


def by_requests(url: str) -> int:
    return requests.get(url, timeout=180, allow_redirects=False).status_code


def by_httpx(url: str) -> int:
    return httpx.get(url, timeout=60).status_code


def by_httpx_async(url: str) -> int:
    async def call() -> int:
        async with httpx.AsyncClient(timeout=60) as session:
            return (await session.get(url)).status_code

    return asyncio.run(call())


def by_aiohttp(url: str, **named: Any) -> int:
    async def call() -> int:
        async with aiohttp.ClientSession() as session, session.get(url, **named) as response:
            return response.status

    return asyncio.run(call())


CALLS = [by_urllib3, by_requests, by_httpx, by_httpx_async, by_aiohttp]


def observed(work: Any) -> Any:
    return faasight.observe(lambda *_: work())({}, None)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [200, 404, 429, 500])
def test_one_call_is_one_span_and_carries_the_context(
    patched: Any, sink: Any, provider: Provider, call: Any, status: int
) -> None:
    assert observed(lambda: call(f"{provider.url}/status/{status}?card=4111")) == status
    (root,) = sink.wait()
    span = sink.named("GET payment-provider")
    assert (span.parent_id, span.raw.kind) == (root.span_id, 3)
    expected = {
        "http.request.method": "GET",
        "url.full": f"{provider.url}/status/{status}",
        "server.address": "127.0.0.1",
        "server.port": provider.port,
        "http.response.status_code": status,
        "peer.service": "payment-provider",
    }
    if status >= 400:
        expected["error.type"] = str(status)
    if status == 429:
        expected["faasight.throttled"] = True
    assert span.attributes == expected
    assert span.raw.status.code == (2 if status >= 400 else 0)
    (_, headers) = provider.seen[0]
    assert headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert headers["tracestate"] == "faasight=f:checkout"


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_is_a_failed_span_and_the_same_exception(
    patched: Any, sink: Any, provider: Provider, call: Any
) -> None:
    provider.close()
    with pytest.raises((OSError, aiohttp.ClientError, httpx.HTTPError, urllib3.exceptions.HTTPError)):
        observed(lambda: call(provider.url))
    sink.wait()
    span = sink.named("GET payment-provider")
    assert span.raw.status.code == 2
    assert "Connect" in span.attributes["error.type"] or "Protocol" in span.attributes["error.type"]


def test_retries_of_urllib3_are_counted_in_one_span(patched: Any, sink: Any, provider: Provider) -> None:
    def work() -> int:
        retry = urllib3.Retry(total=3, status_forcelist=[503], backoff_factor=0)
        with urllib3.PoolManager(retries=retry) as pool:
            return pool.request("GET", f"{provider.url}/flaky").status

    assert observed(work) == 200
    sink.wait()
    span = sink.named("GET payment-provider")
    assert span.attributes["http.request.resend_count"] == 1
    assert span.attributes["http.response.status_code"] == 200


def test_redirects_of_requests_are_requests_of_their_own(patched: Any, sink: Any, provider: Provider) -> None:
    assert observed(lambda: requests.get(f"{provider.url}/redirect", timeout=180).status_code) == 200
    sink.wait()
    statuses = [s.attributes["http.response.status_code"] for s in sink.spans() if s.name == "GET payment-provider"]
    assert statuses == [302, 200]


def test_redirects_of_aiohttp_are_one_request_and_the_users_tracing_is_kept(
    patched: Any, sink: Any, provider: Provider
) -> None:
    seen: list[str] = []

    async def mine(_: object, __: object, told: Any) -> None:
        seen.append(told.method)

    async def call() -> int:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(mine)
        session = aiohttp.ClientSession(trace_configs=[tracing])
        async with session, session.get(f"{provider.url}/redirect") as response:
            return response.status

    assert observed(lambda: asyncio.run(call())) == 200
    (root,) = sink.wait()
    (span,) = [span for span in sink.spans() if span.name == "GET payment-provider"]
    assert span.attributes["http.response.status_code"] == 200
    assert span.parent_id == root.span_id
    assert {headers["traceparent"].split("-")[2] for _, headers in provider.seen} == {span.span_id}
    assert seen == ["GET"]


def test_calls_of_aiohttp_side_by_side_do_not_mix(patched: Any, sink: Any, provider: Provider) -> None:
    async def call() -> None:
        async with aiohttp.ClientSession() as session:
            answers = await asyncio.gather(*(session.get(f"{provider.url}/status/{410 + n}") for n in range(8)))
            for answer in answers:
                answer.release()

    observed(lambda: asyncio.run(call()))
    (root,) = sink.wait()
    spans = {span.span_id: span for span in sink.spans() if span.raw.kind == 3}
    assert len(spans) == 8
    assert {span.parent_id for span in spans.values()} == {root.span_id}
    for path, headers in provider.seen:
        span = spans[headers["traceparent"].split("-")[2]]
        assert path == f"/status/{span.attributes['http.response.status_code']}"


def test_a_context_of_the_users_own_is_kept(patched: Any, sink: Any, provider: Provider) -> None:
    mine = {"Traceparent": f"00-{'c' * 32}-{'d' * 16}-01"}
    given = dict(mine)
    observed(lambda: requests.get(provider.url, headers=mine, timeout=180))
    observed(lambda: httpx.get(provider.url, headers=mine, timeout=60))
    observed(lambda: by_aiohttp(provider.url, headers=mine))
    assert mine == given, "the user's own dictionary is not written to"
    assert [headers["traceparent"] for _, headers in provider.seen] == [mine["Traceparent"]] * 3


def test_outside_an_invocation_nothing_is_added(patched: Any, provider: Provider) -> None:
    for call in CALLS:
        assert call(f"{provider.url}/status/200") == 200
    assert all("traceparent" not in headers for _, headers in provider.seen)


def test_a_host_without_a_name_is_named_by_itself(new_agent: Any, patched: Any, sink: Any, provider: Provider) -> None:
    patched.settings.peer_services.clear()
    observed(lambda: by_requests(provider.url))
    sink.wait()
    assert "peer.service" not in sink.named("GET 127.0.0.1").attributes


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:secret@api.example.com/v1/pay?card=4111#top", "https://api.example.com/v1/pay"),
        ("http://h", "http://h"),
        ("/path?x=1", "/path"),
    ],
)
def test_no_secret_of_a_url_is_kept(url: str, expected: str) -> None:
    assert client.without_secrets(url) == expected


def test_libraries_are_patched_by_import_in_a_real_function(function: Any, sink: Any, provider: Provider) -> None:
    code = f"""
import requests
def handler(event, context):
    import httpx
    requests.get("{provider.url}/status/200")
    return httpx.get("{provider.url}/status/201", timeout=60).status_code
"""
    sandbox = function(code)
    assert sandbox.invoke().body == 201, sandbox.output()
    (root,) = sink.wait()
    calls = [span for span in sink.spans() if span.name == "GET 127.0.0.1"]
    assert [span.attributes["http.response.status_code"] for span in calls] == [200, 201]
    assert {span.parent_id for span in calls} == {root.span_id}


def test_a_library_can_be_left_alone(function: Any, sink: Any, provider: Provider) -> None:
    code = f"import requests\ndef handler(event, context):\n    requests.get('{provider.url}')\n"
    function(code, FAASIGHT_HOOKS="botocore").invoke()
    sink.wait()
    assert [span.name for span in sink.spans() if span.raw.kind == 3] == []
