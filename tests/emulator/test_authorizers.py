"""Authorizers: TOKEN and REQUEST functions of REST and HTTP APIs, and JSON Web Tokens, each as API Gateway answers."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faasight_emulator import Emulator, TemplateError
from faasight_emulator.template import Template
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from quiet_server import QuietHandler, QuietServer

Start = Callable[..., Emulator]

REST = """
  Old:
    Type: AWS::Serverless::Api
    Properties:
      StageName: live
      Auth:
        DefaultAuthorizer: Token
        Authorizers:
          Token:
            FunctionArn: !GetAtt Guard.Arn
            Identity: {ValidationExpression: "[a-z]+", ReauthorizeEvery: 60}
          Key:
            FunctionArn: !GetAtt KeyGuard.Arn
            FunctionPayloadType: REQUEST
            Identity: {QueryStrings: [key], ReauthorizeEvery: 0}
  Guard: {Type: AWS::Serverless::Function, Properties: {Handler: guards.token}}
  KeyGuard: {Type: AWS::Serverless::Function, Properties: {Handler: guards.request}}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      Events:
        A: {Type: Api, Properties: {RestApiId: !Ref Old, Path: "/a/{id}", Method: any}}
        B: {Type: Api, Properties: {RestApiId: !Ref Old, Path: /b, Method: get, Auth: {Authorizer: Key}}}
        C: {Type: Api, Properties: {RestApiId: !Ref Old, Path: /open, Method: get, Auth: {Authorizer: NONE}}}
"""

HTTP = """
  New:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        Authorizers:
          Simple:
            FunctionArn: !GetAtt Guard.Arn
            AuthorizerPayloadFormatVersion: "2.0"
            EnableSimpleResponses: true
            Identity: {Headers: [X-Word]}
          Policy:
            FunctionArn: !GetAtt KeyGuard.Arn
            AuthorizerPayloadFormatVersion: "1.0"
            Identity: {QueryStrings: [key]}
          Token:
            IdentitySource: $request.header.Authorization
            JwtConfiguration: {issuer: "ISSUER", audience: [shop]}
  Guard: {Type: AWS::Serverless::Function, Properties: {Handler: guards.simple}}
  KeyGuard: {Type: AWS::Serverless::Function, Properties: {Handler: guards.request}}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref New, Path: /simple, Method: get, Auth: {Authorizer: Simple}}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref New, Path: /policy, Method: get, Auth: {Authorizer: Policy}}}
        C: {Type: HttpApi, Properties: {ApiId: !Ref New, Path: /jwt, Method: get, Auth: {Authorizer: Token}}}
        D:
          Type: HttpApi
          Properties:
            {ApiId: !Ref New, Path: /scoped, Method: get, Auth: {Authorizer: Token, AuthorizationScopes: [buy, sell]}}
"""


@pytest.fixture
def rest(start: Start) -> Iterator[tuple[httpx.Client, Emulator]]:
    """Give a client of a REST API with authorizers."""
    emulator = start(REST)
    with httpx.Client(base_url=emulator.gateway_address, timeout=180) as client:
        yield client, emulator


def test_a_token_authorizer(rest: tuple[httpx.Client, Emulator], sink: Any) -> None:
    """The function gets token and method; who it lets in is told to the route's function, with the context as text."""
    client, _ = rest
    answer = client.get("/a/7", headers={"authorization": "allow"})
    assert answer.status_code == 200
    authorizer = answer.json()["requestContext"]["authorizer"]
    assert isinstance(authorizer.pop("integrationLatency"), int)
    assert authorizer == {"principalId": "ada", "plan": "gold", "n": "1", "yes": "true"}
    asked = json.loads(sink.wait_for("guard", "function")[0])
    arn = "arn:aws:execute-api:us-east-1:123456789012:old/live/GET/a/7"
    assert asked == {"type": "TOKEN", "methodArn": arn, "authorizationToken": "allow"}
    roots = [sink.wait_for(name, "platform.start")[0]["tracing"]["value"].split(";")[0] for name in ("guard", "web")]
    assert roots[0] == roots[1], "the authorizer is a step of the request's trace"


@pytest.mark.parametrize(
    ("token", "status", "body"),
    [
        (None, 401, {"message": "Unauthorized"}),
        ("Upper", 401, {"message": "Unauthorized"}),
        ("nobody", 401, {"message": "Unauthorized"}),
        ("deny", 403, {"Message": "User is not authorized to access this resource with an explicit deny"}),
        ("other", 403, {"Message": "User is not authorized to access this resource"}),
        ("broken", 500, {"message": None}),
        ("nonsense", 500, {"message": None}),
    ],
)
def test_who_a_rest_api_refuses(
    rest: tuple[httpx.Client, Emulator], token: str | None, status: int, body: dict[str, Any]
) -> None:
    """Each refusal has API Gateway's status and words, and the route's function is not invoked."""
    client, emulator = rest
    answer = client.get("/a/7", headers={"authorization": token} if token else {})
    assert (answer.status_code, answer.json()) == (status, body)
    assert emulator.counts()["web"].invocations == 0


def test_answers_are_kept(rest: tuple[httpx.Client, Emulator]) -> None:
    """The policy of a token is kept and read anew for each method: what it does not name is refused from the cache."""
    client, emulator = rest
    wide = {"authorization": "wide"}
    assert [client.get(path, headers=wide).status_code for path in ("/a/1", "/a/2")] == [200, 200]
    assert client.post("/a/1", headers=wide).status_code == 403
    assert emulator.counts()["guard"].invocations == 1
    assert client.get("/a/1", headers={"authorization": "allow"}).status_code == 200
    assert emulator.counts()["guard"].invocations == 2


def test_a_request_authorizer_and_an_open_route(rest: tuple[httpx.Client, Emulator], sink: Any) -> None:
    """A REQUEST authorizer sees the request without its body; without caching it is asked each time; NONE is open."""
    client, emulator = rest
    assert [client.get(path).status_code for path in ("/b", "/b?key=no", "/b?key=k", "/b?key=k", "/open")] == [
        401,
        403,
        200,
        200,
        200,
    ]
    assert emulator.counts()["key-guard"].invocations == 3
    asked = json.loads(sink.wait_for("key-guard", "function")[0])
    assert (asked["type"], asked["resource"], asked["httpMethod"]) == ("REQUEST", "/b", "GET")
    assert asked["methodArn"].endswith(":old/live/GET/b")
    assert "body" not in asked


class Issuer:
    """Publishes its keys as an OpenID provider does."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1"})
        self.keys = KeySet([self.key])
        issuer = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                found = {"jwks_uri": f"{issuer.url}/keys"}
                body = found if self.path.endswith("openid-configuration") else issuer.keys.as_dict(private=False)
                self.reply(200, {}, json.dumps(body).encode())

        self._server = QuietServer(Handler)
        self.url = f"http://{self._server.address}"

    def token(self, key: RSAKey | None = None, **claims: Any) -> str:
        """Return a token that holds but for these claims."""
        now = int(time.time())
        whole = {"iss": self.url, "aud": "shop", "exp": now + 60, "iat": now - 5, "sub": "ada"} | claims
        header = {"alg": "RS256", "kid": self.key.kid}
        return jwt.encode(header, {name: value for name, value in whole.items() if value is not None}, key or self.key)

    def close(self) -> None:
        """Publish no more."""
        self._server.close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Run an issuer of tokens."""
    one = Issuer()
    yield one
    one.close()


@pytest.fixture
def http(start: Start, issuer: Issuer) -> Iterator[tuple[httpx.Client, Emulator]]:
    """Give a client of an HTTP API with authorizers."""
    emulator = start(HTTP.replace("ISSUER", issuer.url))
    with httpx.Client(base_url=emulator.gateway_address, timeout=180) as client:
        yield client, emulator


def test_simple_responses(http: tuple[httpx.Client, Emulator], sink: Any) -> None:
    """Payload 2.0: the identity as a list, a plain yes or no; nothing is kept unless the template says so."""
    client, emulator = http
    assert client.get("/simple").status_code == 401
    refused = client.get("/simple", headers={"x-word": "open"})
    assert (refused.status_code, refused.json()) == (403, {"message": "Forbidden"})
    for _ in range(2):
        answer = client.get("/simple", headers={"x-word": "let me in"})
        assert answer.json()["requestContext"]["authorizer"] == {"lambda": {"who": "ada", "n": 1}}
    assert emulator.counts()["guard"].invocations == 3
    asked = json.loads(sink.wait_for("guard", "function")[0])
    assert (asked["version"], asked["type"], asked["identitySource"]) == ("2.0", "REQUEST", ["open"])
    assert asked["routeArn"] == "arn:aws:execute-api:us-east-1:123456789012:new/$default/GET/simple"


def test_policies_of_an_http_api(http: tuple[httpx.Client, Emulator]) -> None:
    """Payload 1.0 asks for a policy; its context comes to a function of payload 2.0 under `lambda`."""
    client, _ = http
    assert client.get("/policy?key=no").status_code == 403
    assert client.get("/policy?key=k").json()["requestContext"]["authorizer"] == {"lambda": {"who": "bob"}}


def test_a_token_that_holds(http: tuple[httpx.Client, Emulator], issuer: Issuer) -> None:
    """Claims come to the function as text; with or without the word Bearer; a scope of the route is enough."""
    client, _ = http
    token = issuer.token(scope="buy", roles=["a", "b"], admin=True, aud=["x", "shop"])
    for given in (token, f"Bearer {token}", f"bearer {token}"):
        answer = client.get("/scoped", headers={"authorization": given})
        assert answer.status_code == 200
        found = answer.json()["requestContext"]["authorizer"]["jwt"]
        assert found["scopes"] == ["buy"]
        assert (found["claims"]["roles"], found["claims"]["admin"], found["claims"]["sub"]) == ("[a b]", "true", "ada")
    assert client.get("/jwt", headers={"authorization": issuer.token(aud=None, client_id="shop")}).status_code == 200


def test_tokens_that_do_not_hold(http: tuple[httpx.Client, Emulator], issuer: Issuer) -> None:
    """Whatever is wrong with a token, or missing, is 401 before the function; a missing scope is 403."""
    client, emulator = http
    now = int(time.time())
    other = RSAKey.generate_key(2048, {"kid": issuer.key.kid})
    head, body, signature = issuer.token().split(".")
    unsigned = jwt.encode({"alg": "HS256"}, {"iss": issuer.url, "aud": "shop", "exp": now + 60}, other_secret())
    wrong = [
        "", "x", "a.b.c", f"{head}.{body}.", f"{head}.{body}.{signature[:-8]}AAAAAAAA", f"Basic {head}", unsigned,
        issuer.token(key=other), issuer.token(iss="https://else"), issuer.token(iss=None), issuer.token(aud="bar"),
        issuer.token(aud=None), issuer.token(exp=now - 1), issuer.token(exp=None), issuer.token(exp="soon"),
        issuer.token(nbf=now + 60), issuer.token(iat=now + 60),
    ]  # fmt: skip
    for token in wrong:
        answer = client.get("/jwt", headers={"authorization": token} if token else {})
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"}), token
    forbidden = client.get("/scoped", headers={"authorization": issuer.token(scope="look")})
    assert (forbidden.status_code, forbidden.json()) == (403, {"message": "Forbidden"})
    assert emulator.counts()["web"].invocations == 0
    assert client.get("/jwt", headers={"authorization": issuer.token()}).status_code == 200


def other_secret() -> Any:
    """Return a key for a signature that API Gateway does not take."""
    from joserfc.jwk import OctKey

    return OctKey.generate_key(256)


def test_keys_from_a_file(start: Start, issuer: Issuer, tmp_path: Path) -> None:
    """Without a way to the issuer a file of keys does; one that cannot be read is told, and lets nobody in."""
    file, said = tmp_path / "jwks.json", []
    file.write_text(json.dumps(issuer.keys.as_dict(private=False)))
    template = HTTP.replace("ISSUER", "https://issuer.invalid/")
    header = {"authorization": issuer.token(iss="https://issuer.invalid/")}
    emulator = start(template, jwks=file)
    assert httpx.get(f"{emulator.gateway_address}/jwt", headers=header, timeout=180).status_code == 200
    emulator.stop()
    file.write_text("no keys")
    emulator = start(template, jwks=file, progress=said.append)
    assert httpx.get(f"{emulator.gateway_address}/jwt", headers=header, timeout=180).status_code == 401
    assert any("jwks.json for the JWT authorizer Token cannot be had" in line for line in said)


POOL = """
  Old:
    Type: AWS::Serverless::Api
    Properties:
      StageName: live
      Auth: {DefaultAuthorizer: Pool, Authorizers: {Pool: {UserPoolArn: !GetAtt Users.Arn}}}
  Users: {Type: AWS::Cognito::UserPool}
  New: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {EnableIamAuthorizer: true, DefaultAuthorizer: AWS_IAM}}}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.http
      FunctionUrlConfig: {AuthType: AWS_IAM}
      Events:
        A: {Type: Api, Properties: {RestApiId: !Ref Old, Path: /mine, Method: get}}
        B: {Type: Api, Properties: {RestApiId: !Ref Old, Path: /buy, Method: get, Auth: {AuthorizationScopes: [buy]}}}
        C: {Type: Api, Properties: {RestApiId: !Ref Old, Path: /signed, Method: get, Auth: {Authorizer: AWS_IAM}}}
        D: {Type: HttpApi, Properties: {ApiId: !Ref New, Path: /new, Method: get}}
"""


def test_a_user_pools_tokens(start: Start, issuer: Issuer, tmp_path: Path) -> None:
    """Their claims reach the function; with a file of keys they are verified, without one only read."""
    file, said = tmp_path / "jwks.json", list[str]()
    file.write_text(json.dumps(issuer.keys.as_dict(private=False)))
    holds = issuer.token(iss="https://cognito-idp.local/pool", aud=None, scope="buy", **{"cognito:groups": ["a", "b"]})
    forged = issuer.token(key=RSAKey.generate_key(2048), scope="buy")

    def status(emulator: Emulator, path: str, token: str) -> int:
        headers = {"authorization": token} if token else {}
        return httpx.get(f"{emulator.gateway_address}{path}", headers=headers, timeout=180).status_code

    emulator = start(POOL, jwks=file)
    event = httpx.get(
        f"{emulator.gateway_address}/buy", headers={"authorization": f"Bearer {holds}"}, timeout=60
    ).json()
    assert event["requestContext"]["authorizer"]["claims"]["cognito:groups"] == "a,b"
    assert status(emulator, "/mine", holds) == 200
    for path, token in (("/mine", ""), ("/mine", forged), ("/mine", "x"), ("/buy", issuer.token(scope="look"))):
        assert status(emulator, path, token) == 401
    emulator.stop()
    emulator = start(POOL, progress=said.append)
    assert status(emulator, "/mine", forged) == 200
    assert [status(emulator, "/mine", one) for one in ("x", "a.b.c", issuer.token(exp=1))] == [401] * 3
    assert sum("are read, not verified; name the user pool's JWKS file (--jwks)" in one for one in said) == 1


def test_signed_requests(start: Start) -> None:
    """Whoever signs is told to the function, as each kind of address does it; whoever does not is refused."""
    emulator = start(POOL)
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIALOCAL/20261121/us-east-1/execute-api/aws4_request, x"}
    of_url, gateway = emulator.place.urls["Web"], emulator.gateway_address
    for url in (f"{gateway}/signed", f"{gateway}/new", of_url):
        assert httpx.get(url).status_code == 403
    assert httpx.get(f"{gateway}/signed").json() == {"message": "Missing Authentication Token"}
    rest = httpx.get(f"{gateway}/signed", headers=signed, timeout=180).json()["requestContext"]["identity"]
    assert (rest["accessKey"], rest["accountId"]) == ("AKIALOCAL", "123456789012")
    assert rest["userArn"].startswith("arn:aws:iam::123456789012:user/")
    query = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIALOCAL%2F2026&X-Amz-Signature=ab"
    for answer in (httpx.get(f"{gateway}/new{query}", timeout=180), httpx.get(of_url, headers=signed, timeout=180)):
        assert answer.json()["requestContext"]["authorizer"]["iam"]["accessKey"] == "AKIALOCAL"


def test_templates_that_cannot_be(template_file: Callable[[str], Path]) -> None:
    """A route that names an authorizer that its API has not is refused; what is not emulated is told."""
    with pytest.raises(
        TemplateError, match=r"the API old has no authorizer 'Ke'; it has Token, Key, AWS_IAM: correct the name"
    ):
        Template.load(template_file(REST.replace("Authorizer: Key", "Authorizer: Ke")))
    with pytest.raises(TemplateError, match="is no regular expression"):
        Template.load(template_file(REST.replace("[a-z]+", "[a-z")))
    pool = REST.replace("FunctionArn: !GetAtt Guard.Arn", "UserPoolArn: arn:aws:cognito-idp:x")
    assert not [line for line in Template.load(template_file(pool)).warnings if "Cognito" in line]
