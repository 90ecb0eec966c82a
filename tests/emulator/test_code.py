"""Where code lies: folders, zip files, text in the template; and plain CloudFormation functions."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from faasight_emulator import Template, TemplateError
from faasight_emulator.model import Function

INLINE = "def handler(event, context):\n    return 'inline'\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Template]:
    """Load a template with these resources; what is unpacked lies in the test's own folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def from_resources(resources: str) -> Template:
        path = tmp_path / "template.yaml"
        path.write_text("Resources:\n" + resources)
        return Template.load(path)

    return from_resources


def only(template: Template) -> Function:
    (function,) = template.functions
    return function


def test_inline_code_of_a_sam_function(load: Callable[[str], Template]) -> None:
    text = "Runtime: python3.12, Handler: index.handler, InlineCode: 'handler = print'"
    function = only(load(f"  Hello: {{Type: AWS::Serverless::Function, Properties: {{{text}}}}}"))
    assert [file.read_text() for file in function.code.iterdir()] == ["handler = print"]
    assert function.handler == "index.handler"


def test_a_plain_function_has_no_globals_and_its_code_in_the_template(load: Callable[[str], Template]) -> None:
    function = only(
        load(
            """
  Hello:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: hello
      Runtime: python3.12
      Handler: index.handler
      Timeout: 7
      Code:
        ZipFile: |
          def handler(event, context):
              return 'inline'
Globals: {Function: {Timeout: 99}}
"""
        )
    )
    assert (function.name, function.timeout) == ("hello", 7)
    assert (function.code / "index.py").read_text() == INLINE


def test_a_zip_file_is_unpacked_once_with_its_modes(load: Callable[[str], Template], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("app.py", INLINE)
        program = zipfile.ZipInfo("bin/run")
        program.external_attr = 0o755 << 16
        archive.writestr(program, "#!/bin/sh\n")
    text = "Runtime: python3.12, Handler: app.handler, CodeUri: code.zip"
    resources = f"  Hello: {{Type: AWS::Serverless::Function, Properties: {{{text}}}}}"
    first, second = only(load(resources)), only(load(resources))
    assert first.code == second.code
    assert (first.code / "app.py").read_text() == INLINE
    assert (first.code / "bin/run").stat().st_mode & 0o777 == 0o755
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("app.py", INLINE + "# changed\n")
    assert only(load(resources)).code != first.code


def test_a_zip_file_cannot_write_beside_its_folder(load: Callable[[str], Template], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("../../escaped.py", INLINE)
    load("  A: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, CodeUri: code.zip}}")
    assert not list(tmp_path.glob("escaped.py"))


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ("CodeUri: nowhere/", "the folder 'nowhere/' is not there"),
        ("CodeUri: 's3://bucket/key'", "is on S3"),
        ("CodeUri: template.yaml", "the folder 'template.yaml' is not there"),
    ],
)
def test_code_that_is_not_here(load: Callable[[str], Template], properties: str, told: str) -> None:
    with pytest.raises(TemplateError, match=told):
        load(
            f"  A: {{Type: AWS::Serverless::Function, Properties: {{Runtime: python3.12, Handler: a.b, {properties}}}}}"
        )


def test_code_on_s3_of_a_plain_function(load: Callable[[str], Template]) -> None:
    with pytest.raises(TemplateError, match="lies on S3"):
        load("  A: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: {S3Bucket: b}}}")


def test_attributes_of_what_is_not_emulated_stand_in(load: Callable[[str], Template]) -> None:
    template = load(
        """
  Role: {Type: AWS::IAM::Role}
  Database: {Type: AWS::RDS::DBInstance}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: live}}
  A:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      InlineCode: "b = print"
      Environment:
        Variables:
          ROLE: !GetAtt Role.Arn
          HOST: !GetAtt Database.Endpoint.Address
          STAGE: !Sub "${Api.Stage}"
"""
    )
    assert only(template).environment == {
        "ROLE": "arn:aws:iam:us-east-1:123456789012:role",
        "HOST": "database-endpoint-address",
        "STAGE": "api-stage",
    }


def test_an_attribute_that_an_emulated_resource_has_not_is_an_error(load: Callable[[str], Template]) -> None:
    with pytest.raises(TemplateError, match="it has Arn, QueueName, QueueUrl"):
        load(
            """
  Queue: {Type: AWS::SQS::Queue}
  A:
    Type: AWS::Serverless::Function
    Properties:
      {Runtime: python3.12, Handler: a.b, InlineCode: "b", Environment: {Variables: {X: !GetAtt Queue.Nothing}}}
"""
        )
