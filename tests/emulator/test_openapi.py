"""APIs that are described by OpenAPI: in the template, in a file beside it, or included with its intrinsics."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Emulator
from faasight_emulator.template import Template

Start = Callable[..., Emulator]
GATEWAY = "arn:aws:apigateway:us-east-1"
PLAIN = "  F: {Type: AWS::Serverless::Function, Properties: {Handler: app.echo}}\n"
URI = f"{GATEWAY}:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f/invocations"


def definition(integration: Any, path: str = "/things/{id}", method: str = "get") -> str:
    """Return an OpenAPI definition with one operation, as JSON, which is YAML too."""
    return json.dumps({"openapi": "3.0.1", "paths": {path: {method: {"x-amazon-apigateway-integration": integration}}}})


def api(kind: str, body: str) -> str:
    stage = "StageName: prod, " if kind == "Api" else ""
    return f"  A: {{Type: AWS::Serverless::{kind}, Properties: {{{stage}{body}}}}}\n"


def get(emulator: Emulator, path: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(f"{emulator.gateway_address}{path}", body)) as answer:
        return json.load(answer)


def test_in_the_template(start: Start) -> None:
    integration = {"type": "aws_proxy", "payloadFormatVersion": "2.0", "uri": {"Fn::Sub": URI.replace(":f/", ":${F}/")}}
    emulator = start(PLAIN + api("HttpApi", f"DefinitionBody: {definition(integration)}"))
    assert get(emulator, "/things/7")["pathParameters"] == {"id": "7"}


@pytest.mark.parametrize("how", ["DefinitionUri: api.yaml", "DefinitionBody: {'Fn::Transform': %s}"])
def test_in_a_file(template_file: Callable[[str], Path], how: str) -> None:
    """A file of its own is taken as it is; one that is included has the template's intrinsics, too."""
    include = {"Name": "AWS::Include", "Parameters": {"Location": "api.yaml"}}
    written: Any = URI if "Uri" in how else {"Fn::Sub": URI.replace(":f/", ":${F}/")}
    method = "x-amazon-apigateway-any-method"
    path = template_file(PLAIN + api("Api", how.replace("%s", json.dumps(include))))
    path.with_name("api.yaml").write_text(definition({"type": "aws_proxy", "uri": written}, method=method))
    template = Template.load(path)
    (route,) = template.functions[0].routes
    assert (route.api, route.method, route.path, route.payload) == ("a", "ANY", "/things/{id}", "1.0")
    assert template.warnings == ()


FLOW = """
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Type: EXPRESS
      Definition: {StartAt: Same, States: {Same: {Type: Pass, End: true}}}
"""


@pytest.mark.parametrize("kind", ["HttpApi", "Api"])
def test_an_express_machine_is_waited_for(start: Start, kind: str) -> None:
    """StartSyncExecution, as an HTTP API's integration names it and as a REST API's."""
    arn = {"Ref": "Flow"}
    integration: dict[str, Any] = {
        "type": "aws_proxy",
        "integrationSubtype": "StepFunctions-StartSyncExecution",
        "requestParameters": {"StateMachineArn": arn, "Input": "$request.body"},
    }
    if kind == "Api":
        template = {"Fn::Sub": '{"input": "$util.escapeJavaScript($input.json(\'$\'))", "stateMachineArn": "${Flow}"}'}
        uri = f"{GATEWAY}:states:action/StartSyncExecution"
        integration = {"type": "aws", "uri": uri, "requestTemplates": {"application/json": template}}
    body = definition(integration, "/run", "post")
    emulator = start(PLAIN + FLOW + api(kind, f"DefinitionBody: {body}"))
    told = get(emulator, "/run", b'{"n": 1}')
    assert (told["status"], json.loads(told["output"])) == ("SUCCEEDED", {"n": 1})


def test_what_is_no_function_is_told(template_file: Callable[[str], Path]) -> None:
    """A mock is not; it is how people write CORS."""
    body = definition({"type": "http", "uri": "http://x"})
    warnings = Template.load(template_file(PLAIN + api("HttpApi", f"DefinitionBody: {body}"))).warnings
    assert len(warnings) == 1
    assert "A.Properties.DefinitionBody.paths./things/{id}.get" in warnings[0]
    mock = definition({"type": "mock"}, method="options")
    assert Template.load(template_file(PLAIN + api("Api", f"DefinitionBody: {mock}"))).warnings == ()
