"""Cross-origin requests: preflights are answered from the template, without a function; answers carry the headers."""

from collections.abc import Callable

import httpx
import pytest
from faasight_emulator import Emulator, TemplateError

Start = Callable[..., Emulator]
SITE = "https://shop.example"

RESOURCES = """
  ShopApi:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: ["https://shop.example", "http://*"]
        AllowMethods: [GET, POST]
        AllowHeaders: [content-type, x-trace]
        ExposeHeaders: [x-seen]
        MaxAge: 300
        AllowCredentials: true
  OldApi:
    Type: AWS::Serverless::Api
    Properties:
      StageName: live
      Cors: {AllowOrigin: "'https://shop.example'", AllowHeaders: "'x-a, x-b'", MaxAge: "'60'"}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      FunctionUrlConfig: {AuthType: AWS_IAM, Cors: {AllowOrigins: ["*"], AllowMethods: [PUT]}}
      Events:
        Orders: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: "/orders/{id}", Method: any}}
        Old: {Type: Api, Properties: {RestApiId: !Ref OldApi, Path: /old, Method: post}}
        OldToo: {Type: Api, Properties: {RestApiId: !Ref OldApi, Path: /old, Method: get}}
        Own: {Type: Api, Properties: {RestApiId: !Ref OldApi, Path: /own, Method: options}}
        Open: {Type: HttpApi, Properties: {Path: /open, Method: get}}
"""


def preflight(url: str, path: str = "", origin: str = SITE, method: str = "POST") -> httpx.Response:
    """Ask as a browser does."""
    asked = {"origin": origin, "access-control-request-method": method}
    return httpx.options(f"{url}{path}", headers=asked, timeout=180)


def allowed(answer: httpx.Response) -> dict[str, str]:
    """Return what an answer allows, by the ends of the headers' names."""
    start = "access-control-"
    return {name.removeprefix(start): value for name, value in answer.headers.items() if name.startswith(start)}


def test_cors(start: Start) -> None:
    """Each kind of API answers as on AWS; no function runs for a preflight."""
    emulator = start(RESOURCES)
    gateway, url = emulator.gateway_address, emulator.place.urls["Web"]
    http = preflight(gateway, "/orders/1")
    assert (http.status_code, http.content) == (204, b"")
    assert allowed(http) == {
        "allow-origin": SITE,
        "allow-credentials": "true",
        "allow-methods": "GET,POST",
        "allow-headers": "content-type,x-trace",
        "max-age": "300",
    }
    assert allowed(preflight(gateway, "/orders/1", "http://any.where"))["allow-origin"] == "http://any.where"
    stranger = preflight(gateway, "/orders/1", "https://elsewhere.example")
    assert (stranger.status_code, allowed(stranger)) == (204, {})
    rest = preflight(gateway, "/old")
    assert (rest.status_code, allowed(rest)) == (
        200,
        {"allow-origin": SITE, "allow-methods": "GET,POST,OPTIONS", "allow-headers": "x-a,x-b", "max-age": "60"},
    )
    of_url = preflight(url, method="PUT")
    assert (of_url.status_code, allowed(of_url)) == (200, {"allow-origin": "*", "allow-methods": "PUT"})
    assert preflight(gateway, "/open").status_code == 404, "an API that says nothing of CORS has no answer"
    assert emulator.counts()["web"].invocations == 0
    assert preflight(gateway, "/own", method="OPTIONS").status_code == 200, "the template's own method is asked"
    assert emulator.counts()["web"].invocations == 1


def test_answers_carry_the_headers(start: Start) -> None:
    """Of an HTTP API and a URL the template's replace the function's; without an origin there are none."""
    emulator = start(RESOURCES)
    own = '{"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "mine", "X-Own": "1"}}'
    answer = httpx.post(f"{emulator.gateway_address}/orders/1", content=own, headers={"origin": SITE}, timeout=180)
    assert answer.headers.get_list("access-control-allow-origin") == [SITE]
    assert allowed(answer)["expose-headers"] == "x-seen"
    assert answer.headers["x-own"] == "1"
    assert allowed(httpx.get(f"{emulator.gateway_address}/orders/1", timeout=180)) == {}
    refused = httpx.get(emulator.place.urls["Web"], headers={"origin": SITE})
    assert (refused.status_code, allowed(refused)) == (403, {"allow-origin": "*"})
    rest = httpx.post(f"{emulator.gateway_address}/old", content=own, headers={"origin": SITE}, timeout=180)
    assert rest.headers["access-control-allow-origin"] == "mine", "of a REST API the function says it"


def test_the_short_forms(start: Start) -> None:
    """`true` and a lone origin do, in Globals too."""
    emulator = start(
        """
  AllApi: {Type: AWS::Serverless::HttpApi, Properties: {CorsConfiguration: true}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      Events: {E: {Type: HttpApi, Properties: {ApiId: !Ref AllApi, Path: /all, Method: get}}}
"""
    )
    told = allowed(preflight(emulator.gateway_address, "/all", method="GET"))
    assert told == {"allow-origin": "*", "allow-methods": "*", "allow-headers": "*"}


def test_a_wrong_age_is_refused(start: Start) -> None:
    with pytest.raises(TemplateError, match="MaxAge: is 'long'; must be seconds in quotes"):
        start(RESOURCES.replace("'60'", "'long'"))
