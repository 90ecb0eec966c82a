"""Parameters and secrets: made in moto for functions to read, and put in where text refers to them."""

from collections.abc import Callable
from typing import Any

import pytest
from faasight_emulator import Emulator
from faasight_emulator.aws import Clients
from faasight_emulator.stored import resolved

Start = Callable[..., Emulator]
RESOURCES = """
  Table: {Type: AWS::SSM::Parameter, Properties: {Name: /shop/table, Type: String, Value: orders}}
  Login:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: login
      GenerateSecretString: {SecretStringTemplate: '{"user": "ada"}', GenerateStringKey: password}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.variables
      Environment:
        Variables:
          NAME: !Ref Table
          VALUE: !GetAtt Table.Value
          DYNAMIC: 'a {{resolve:ssm:/shop/table:1}} b'
          USER_NAME: '{{resolve:secretsmanager:login:SecretString:user}}'
          SECRET: !Ref Login
"""


def test_they_are_there(start: Start) -> None:
    emulator = start(RESOURCES)
    told = emulator.invoke("f", {}).json()
    assert (told["NAME"], told["VALUE"], told["DYNAMIC"]) == ("/shop/table", "orders", "a orders b")
    assert told["USER_NAME"] == "ada"
    clients = Clients(emulator.place)
    assert clients.get("ssm").get_parameter(Name="/shop/table")["Parameter"]["Value"] == "orders"
    assert '"user": "ada"' in clients.get("secretsmanager").get_secret_value(SecretId="login")["SecretString"]


@pytest.mark.parametrize(
    ("text", "gives", "unknown"),
    [
        ("{{resolve:ssm-secure:a}}", "1", []),
        ("{{resolve:ssm:b}}", "{{resolve:ssm:b}}", ["b"]),
        ("{{resolve:secretsmanager:a}}", "1", []),
        ("{{resolve:secretsmanager:j:SecretString:k::}}", "v", []),
        ("{{resolve:secretsmanager:j:SecretString:no}}", '{"k": "v"}', []),
        ("{{resolve:secretsmanager:arn:aws:secretsmanager:r:1:secret:j:SecretString:k}}", "v", []),
        ("{{resolve:s3:a}} {{", "{{resolve:s3:a}} {{", []),
    ],
)
def test_dynamic_references(text: str, gives: str, unknown: Any) -> None:
    told: list[str] = []
    assert resolved(text, {"a": "1", "j": '{"k": "v"}'}, told.append) == gives
    assert told == unknown
