"""The gateway: requests become events of both payload formats, results become answers as API Gateway gives them."""

import base64
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from faasight_emulator import Emulator
from polling import wait_until

Start = Callable[..., Emulator]

APIS = """
  ShopApi: {Type: AWS::Serverless::HttpApi}
  OldApi: {Type: AWS::Serverless::Api, Properties: {StageName: live, Name: old-shop}}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: /orders, Method: post}}
        Any: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: "/orders/{id}", Method: any}}
        Files: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: "/files/{path+}", Method: get}}
        Old: {Type: Api, Properties: {RestApiId: !Ref OldApi, Path: "/old/{id}", Method: post}}
        Mixed:
          Type: HttpApi
          Properties: {ApiId: !Ref ShopApi, Path: /mixed, Method: get, PayloadFormatVersion: "1.0"}
  Count:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.count
      Events:
        Literal: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: /orders/count, Method: get}}
  Fail:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.fail
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: /fail, Method: get}}
        B: {Type: Api, Properties: {RestApiId: !Ref OldApi, Path: /old-fail, Method: get}}
"""


@pytest.fixture
def web(start: Start) -> httpx.Client:
    """Return a client of a gateway over APIS."""
    with httpx.Client(base_url=start(APIS).gateway_address, timeout=60) as client:
        yield client


def test_payload_2(web: httpx.Client) -> None:
    """An HTTP API's event is payload 2.0: joined headers and queries, cookies apart, a readable API name."""
    answer = web.post(
        "/orders?a=1&a=2&b=x%20y",
        content=b"plain",
        headers=[("content-type", "text/plain"), ("x-tag", "one"), ("x-tag", "two"), ("cookie", "k=v; l=w")],
    )
    event = answer.json()
    assert (answer.status_code, answer.headers["x-seen"]) == (200, "yes")
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "POST /orders", "/orders")
    assert event["rawQueryString"] == "a=1&a=2&b=x%20y"
    assert event["queryStringParameters"] == {"a": "1,2", "b": "x y"}
    assert event["headers"]["x-tag"] == "one,two"
    assert event["headers"]["x-amzn-trace-id"].startswith("Root=1-")
    assert event["cookies"] == ["k=v", "l=w"]
    assert (event["body"], event["isBase64Encoded"]) == ("plain", False)
    context = event["requestContext"]
    assert (context["apiId"], context["domainName"]) == ("shop-api", "shop-api.execute-api.local")
    assert context["http"]["method"] == "POST"
    assert context["stage"] == "$default"


def test_path_parameters(web: httpx.Client) -> None:
    """Parameters are decoded; a greedy one takes the rest; a literal path wins over a parameter."""
    assert web.delete("/orders/a%2Fb%20c").json()["pathParameters"] == {"id": "a/b c"}
    assert web.get("/files/x/y/z.txt").json()["pathParameters"] == {"path": "x/y/z.txt"}
    assert web.get("/orders/count").json()["calls"] == 1


def test_trailing_slash(web: httpx.Client) -> None:
    """A REST API ignores it; for an HTTP API it is another path."""
    assert web.post("/old/7/").json()["pathParameters"] == {"id": "7"}
    assert web.post("/orders/").status_code == 404


def test_payload_1(web: httpx.Client) -> None:
    """A REST API's event is payload 1.0: multi-value maps, resource, stage."""
    event = web.post("/old/7?a=1&a=2", headers=[("x-tag", "one"), ("x-tag", "two")]).json()
    assert "version" not in event
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/old/{id}", "/old/7", "POST")
    assert event["pathParameters"] == {"id": "7"}
    assert (event["queryStringParameters"], event["multiValueQueryStringParameters"]) == ({"a": "2"}, {"a": ["1", "2"]})
    assert event["multiValueHeaders"]["X-Tag"] == ["one", "two"]
    assert (event["body"], event["isBase64Encoded"]) == (None, False)
    context = event["requestContext"]
    assert (context["apiId"], context["stage"], context["path"]) == ("old-shop", "live", "/live/old/7")
    assert web.get("/mixed").json()["version"] == "1.0"


def test_binary_bodies(web: httpx.Client) -> None:
    """A body that is no text goes in, and comes out, as base64."""
    data = bytes(range(256))
    event = web.post("/orders", content=data, headers={"content-type": "image/png"}).json()
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (data, True)
    asked = {"statusCode": 201, "body": base64.b64encode(data).decode(), "isBase64Encoded": True}
    answer = web.post("/orders", json=asked)
    assert (answer.status_code, answer.content) == (201, data)


def test_answers(web: httpx.Client) -> None:
    """Status, headers, cookies and multi-value headers of the function's answer are kept; bare JSON is a 200."""
    asked = {"statusCode": 302, "headers": {"Location": "/x"}, "cookies": ["a=1", "b=2"]}
    answer = web.post("/orders", json=asked)
    assert (answer.status_code, answer.headers["location"]) == (302, "/x")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert web.post("/orders", json={"free": "form"}).json() == {"free": "form"}
    many = web.post("/old/1", json={"statusCode": 200, "multiValueHeaders": {"X-M": ["1", "2"]}, "body": "ok"})
    assert many.headers.get_list("x-m") == ["1", "2"]


@pytest.mark.parametrize(
    "asked",
    [
        {"statusCode": "abc"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": [1]},
    ],
)
def test_malformed_answers(web: httpx.Client, asked: Any) -> None:
    """An answer that API Gateway does not understand is 500 by an HTTP API and 502 by a REST API."""
    http, rest = web.post("/orders", json=asked), web.post("/old/1", json=asked)
    assert (http.status_code, http.json()) == (500, {"message": "Internal Server Error"})
    assert (rest.status_code, rest.json()) == (502, {"message": "Internal server error"})


def test_a_header_cannot_split_the_answer(web: httpx.Client) -> None:
    """Line ends in a header's value do not make headers of their own."""
    answer = web.post("/orders", json={"statusCode": 200, "headers": {"x-a": "1\r\nx-b: 2"}, "body": ""})
    assert "x-b" not in answer.headers


def test_errors_of_the_function(web: httpx.Client) -> None:
    """An exception is 500 by an HTTP API and 502 by a REST API."""
    assert web.get("/fail").status_code == 500
    assert web.get("/old-fail").status_code == 502


def test_no_such_route(web: httpx.Client) -> None:
    """An unknown path, or a method that no route has, is 404."""
    assert (web.get("/nowhere").status_code, web.get("/orders").status_code) == (404, 404)


def test_throttled(start: Start) -> None:
    """A throttle is 429."""
    emulator = start("""
  Slow:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.sleep
      ReservedConcurrentExecutions: 1
      Events:
        A: {Type: HttpApi, Properties: {Path: /slow, Method: get}}
""")
    thread = threading.Thread(target=emulator.invoke, args=("slow", {"seconds": 0.8}))
    thread.start()
    wait_until(lambda: emulator.running("slow") == 1, "the function is busy")
    answer = httpx.get(f"{emulator.gateway_address}/slow", timeout=60)
    thread.join()
    assert (answer.status_code, answer.json()) == (429, {"message": "Too Many Requests"})


def raw(address: str, data: bytes) -> bytes:
    """Send bytes to a gateway and return what comes until it closes."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=180) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def test_bad_http(start: Start) -> None:
    """What is no HTTP, too long or too large is answered as that, and the gateway goes on."""
    address = start(APIS).gateway_address
    assert raw(address, b"\x16\x03\x01 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    too_large = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"
    assert raw(address, too_large).startswith(b"HTTP/1.1 413")
    long_header = (
        b"GET /orders HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(70)) + b"\r\n"
    )
    assert raw(address, long_header).startswith(b"HTTP/1.1 431")
    chunked = (
        b"POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert json.loads(raw(address, chunked).split(b"\r\n\r\n", 1)[1])["body"] == "abcde"
