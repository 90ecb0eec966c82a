"""Versions and aliases: which version an invocation runs, by qualifier and by weight, each in sandboxes of its own."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from faasight_emulator import Emulator, TemplateError, TooManyRequestsError, UnknownFunctionError
from faasight_emulator.aws import Clients
from faasight_emulator.model import Function, Place
from faasight_emulator.template import Template
from faasight_emulator.versions import Alias, Published, Versions

Start = Callable[..., Emulator]
ARN = "arn:aws:lambda:us-east-1:123456789012:function"

RELEASED = """
  Auto:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.about
      AutoPublishAlias: live
      DeploymentPreference: {Type: Canary10Percent5Minutes}
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}
      FunctionUrlConfig: {AuthType: NONE}
      Environment: {Variables: {ME: !Ref Canary}}
  By:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.variables
      Environment: {Variables: {ALIAS: !Ref Auto.Alias, VERSION: !Ref Auto.Version, NUMBER: !GetAtt Second.Version}}
  Plain: {Type: AWS::Serverless::Function, Properties: {Handler: app.about, ReservedConcurrentExecutions: 1}}
  First: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Plain}}
  Second: {Type: AWS::Lambda::Version, Properties: {FunctionName: !GetAtt Plain.Arn}}
  Canary:
    Type: AWS::Lambda::Alias
    Properties:
      Name: canary
      FunctionName: !Ref Plain
      FunctionVersion: !GetAtt First.Version
      RoutingConfig: {AdditionalVersionWeights: [{FunctionVersion: !GetAtt Second.Version, FunctionWeight: 0.5}]}
"""


def test_a_published_alias(start: Start, sink: Any) -> None:
    """Events go to the alias and its provisioned sandboxes; the bare name is $LATEST; !Ref gives the ARNs."""
    emulator = start(RELEASED)
    event = httpx.get(emulator.place.urls["Auto"], timeout=180).json()
    assert (event["version"], event["arn"]) == ("1", f"{ARN}:auto:live")
    assert "[1]" in event["log_stream"]
    inits = sink.wait_for("auto", "platform.initStart")
    assert (inits[0]["initializationType"], inits[0]["functionVersion"]) == ("provisioned-concurrency", "1")
    assert emulator.counts()["auto"].cold_starts == 0
    latest = emulator.invoke("auto", {}).json()
    assert (latest["version"], latest["arn"]) == ("$LATEST", f"{ARN}:auto")
    assert emulator.invoke("Auto:live", {}).version == "1"
    assert emulator.invoke(f"{ARN}:auto:1", {}).json()["arn"] == f"{ARN}:auto:1"
    seen = emulator.invoke("by", {}).json()
    assert (seen["ALIAS"], seen["VERSION"], seen["NUMBER"]) == (f"{ARN}:auto:live", f"{ARN}:auto:1", "2")
    reports = sink.wait_for("auto", "platform.start", 4)
    assert Counter(report["version"] for report in reports) == {"1": 3, "$LATEST": 1}


def test_weights(start: Start) -> None:
    """An alias with a routing configuration runs both its versions; the Invoke API says which one answered."""
    emulator = start(RELEASED)
    client = Clients(Place(aws_endpoint=emulator.gateway_address)).get("lambda")
    ran = [client.invoke(FunctionName="plain", Qualifier="canary", Payload=b"{}") for _ in range(30)]
    assert {one["ExecutedVersion"] for one in ran} == {"1", "2"}
    about = json.load(client.invoke(FunctionName="plain:2", Payload=b"{}")["Payload"])
    assert (about["version"], about["arn"]) == ("2", f"{ARN}:plain:2")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="plain:7"):
        client.invoke(FunctionName="plain:7", Payload=b"{}")
    with pytest.raises(ClientError, match="plain:beta"):
        client.invoke(FunctionName="plain", Qualifier="beta", Payload=b"{}")
    client.close()
    with pytest.raises(UnknownFunctionError, match=r"no version or alias '3'; it has \$LATEST, 1, 2, canary"):
        emulator.invoke("plain:3", {})


def test_a_reservation_is_of_all_versions(start: Start) -> None:
    """The versions of a function share its reserved concurrency."""
    emulator = start(RELEASED.replace("ReservedConcurrentExecutions: 1", "ReservedConcurrentExecutions: 0"))
    for name in ("plain", "plain:1", "plain:2"):
        with pytest.raises(TooManyRequestsError):
            emulator.invoke(name, {})
    assert emulator.counts()["plain"].throttles == 3


def test_picking(tmp_path: Path) -> None:
    """Each version gets its share of the chances."""
    function = Function("F", "f", "app.f", tmp_path, "python3.11", alias="live")
    alias = Alias("f", "live", (("1", 0.7), ("2", 0.2), ("3", 0.1)))
    chances = [(n + 0.5) / 100 for n in range(100)]
    versions = Versions([function], Published({"f": ("1", "2", "3")}, (alias,)), iter(chances).__next__)
    assert Counter(versions.pick(function).version for _ in chances) == {"1": 70, "2": 20, "3": 10}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("!GetAtt First.Version", "'9'"), r"Canary\.Properties: points to version '9', which 'plain' has not"),
        (
            ("FunctionWeight: 0.5", "FunctionWeight: 2"),
            "RoutingConfig: has the weight 2; must be a number from",
        ),
        (("!GetAtt First.Version", "!GetAtt Second.Version"), "RoutingConfig: must name other versions"),
    ],
)
def test_aliases_that_cannot_be(template_file: Callable[[str], Path], change: tuple[str, str], words: str) -> None:
    """What AWS refuses is refused, with its place."""
    with pytest.raises(TemplateError, match=words):
        Template.load(template_file(RELEASED.replace(*change)))
