"""Function URLs: an address for each, payload 2.0, errors in their own words."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest
from faasight_emulator import Emulator, TemplateError

Start = Callable[..., Emulator]

URLS = """
  Web: {Type: AWS::Serverless::Function, Properties: {Handler: app.http, FunctionUrlConfig: {AuthType: NONE}}}
  Safe: {Type: AWS::Serverless::Function, Properties: {Handler: app.http, FunctionUrlConfig: {AuthType: AWS_IAM}}}
  Fail: {Type: AWS::Serverless::Function, Properties: {Handler: app.fail, FunctionUrlConfig: {AuthType: NONE}}}
  Full:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.http, ReservedConcurrentExecutions: 0, FunctionUrlConfig: {AuthType: NONE}}
  Other:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.variables, Environment: {Variables: {WEB: !GetAtt WebUrl.FunctionUrl}}}
"""


def test_function_urls(start: Start) -> None:
    """Any path and method of the address reaches the function, which sees an event of payload 2.0."""
    emulator = start(URLS)
    urls = emulator.place.urls
    event = httpx.post(f"{urls['Web']}some/path?a=1", content="hello", timeout=180).json()
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/some/path")
    context = event["requestContext"]
    assert context["domainName"] == "web.lambda-url.us-east-1.on.aws"
    assert (context["apiId"], context["http"]["method"], event["body"]) == ("web", "POST", "hello")
    assert emulator.invoke("other", {}).json()["WEB"] == urls["Web"], "others find it by !GetAtt"
    failed = httpx.get(urls["Fail"], timeout=180)
    assert (failed.status_code, failed.text) == (502, "Internal Server Error")
    assert httpx.get(urls["Full"], timeout=60).status_code == 429
    forbidden = httpx.get(urls["Safe"], timeout=60)
    assert (forbidden.status_code, forbidden.json()) == (403, {"Message": "Forbidden"})
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=testing/..."}
    assert httpx.get(urls["Safe"], headers=signed, timeout=180).status_code == 200


def test_its_ports_follow_the_gateways(one: Start) -> None:
    """The port after the gateway's is the URL's, so that it stays the same; if it is taken, any."""
    with taken_after_a_free_port() as port:
        emulator = one("http", "FunctionUrlConfig: {AuthType: NONE}", gateway_port=port - 1)
        url = emulator.place.urls["F"]
        assert not url.endswith(f":{port}/")
        assert json.loads(httpx.get(url, timeout=180).text)["rawPath"] == "/"


@contextmanager
def taken_after_a_free_port() -> Iterator[int]:
    """Hold a port of which the one before it is free: others on this machine take ports too."""
    with ExitStack() as held:
        for _ in range(200):
            taken = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = taken.getsockname()[1]
            with suppress(OSError), socket.create_server(("127.0.0.1", port - 1)):
                break
        yield port


def test_a_wrong_auth_type(one: Start) -> None:
    """A wrong AuthType is told with the right ones."""
    with pytest.raises(TemplateError, match="AuthType: is 'OPEN'; must be NONE or AWS_IAM"):
        one("http", "FunctionUrlConfig: {AuthType: OPEN}")
