"""Templates: what is read out of a good one, and the one sentence about a bad one."""

import contextlib
import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faasight_emulator import Template, TemplateError
from faasight_emulator.document import read_document
from faasight_emulator.model import Place, QueueSource, Route, ScheduleSource, kebab

WHOLE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
Mappings:
  Sizes: {dev: {Memory: 256}, prod: {Memory: 1024}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  NotProd: !Not [!Condition IsProd]
Globals:
  Function:
    Runtime: python3.12
    CodeUri: code/
    Timeout: 5
    Environment: {Variables: {SHARED: global, STAGE: !Ref Stage}}
Resources:
  ShopApi: {Type: AWS::Serverless::HttpApi}
  OrderQueue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "orders-${Stage}"
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt OrderDLQ.Arn, maxReceiveCount: 3}
  OrderDLQ: {Type: AWS::SQS::Queue}
  OrdersTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Simple: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Name: key, Type: Number}}}
  OnlyProd: {Type: AWS::SQS::Queue, Condition: IsProd}
  CheckoutFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      MemorySize: !FindInMap [Sizes, !Ref Stage, Memory]
      AutoPublishAlias: live
      Architectures: [arm64]
      ReservedConcurrentExecutions: 7
      Environment:
        Variables:
          SHARED: own
          QUEUE: !Ref OrderQueue
          QUEUE_ARN: !GetAtt OrderQueue.Arn
          TABLE: !Ref OrdersTable
          URL: !Sub "https://${ShopApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${!kept}"
          OWN: !Sub ["${X}-${Stage}", {X: !Ref AWS::AccountId}]
          JOINED: !Join ["+", !Ref Names]
          SECOND: !Select [1, !Split ["/", "p/q"]]
          PICKED: !If [IsProd, !Ref OnlyProd, none]
          GONE: !If [NotProd, !Ref AWS::NoValue, x]
          FLAG: true
          LONG: {"Fn::Join": ["", [{"Ref": "Stage"}, "!"]]}
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref ShopApi, Path: /checkout, Method: post}}
        Rest: {Type: Api, Properties: {Path: "/{proxy+}", Method: any}}
        Queue: {Type: SQS, Properties: {Queue: !GetAtt OrderQueue.Arn, BatchSize: 5}}
        Often: {Type: Schedule, Properties: {Schedule: rate(1 minute), Input: '{"a": 1}'}}
        Nightly: {Type: ScheduleV2, Properties: {ScheduleExpression: "cron(0 3 * * ? *)", Name: nightly}}
        Off: {Type: Schedule, Properties: {Schedule: rate(1 minute), Enabled: false}}
        Topic: {Type: MSK, Properties: {Topics: [x]}}
  Other: {Type: AWS::Serverless::Function, Properties: {Handler: x.y, Runtime: nodejs22.x}}
  Bus: {Type: AWS::Pipes::Pipe}
  Role: {Type: AWS::IAM::Role, Properties: {Bad: !ImportValue x}}
"""


def function(properties: str = "", rest: str = "") -> str:
    """Return a template of one function F, on line 2, with more properties, and more resources."""
    own = "Type: AWS::Serverless::Function, Properties: {Handler: app.f, Runtime: python3.12, CodeUri: code"
    return f"Resources:\n  F: {{{own}{properties and ', '}{properties}}}}}\n{rest}"


QUEUE = "  Q: {Type: AWS::SQS::Queue}\n"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a template beside a folder `code`."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").touch()

    def put(text: str) -> Path:
        path = tmp_path / "template.yaml"
        path.write_text(text)
        return path

    return put


def test_a_whole_template(write: Write) -> None:
    """Properties with Globals merged in, intrinsics resolved, names given or made."""
    template = Template.load(write(WHOLE), place=Place(aws_endpoint="http://aws"))
    (function,) = template.functions
    assert (function.name, function.handler, function.runtime) == ("checkout-function", "app.handler", "python3.12")
    assert (function.memory, function.timeout, function.reserved) == (256, 5, 7)
    assert (function.version, function.alias, function.architecture) == ("1", "live", "arm64")
    assert function.environment == {
        "SHARED": "own",
        "STAGE": "dev",
        "QUEUE": "http://aws/123456789012/orders-dev",
        "QUEUE_ARN": "arn:aws:sqs:us-east-1:123456789012:orders-dev",
        "TABLE": "orders-table",
        "URL": "https://shop-api.execute-api.us-east-1.amazonaws.com/${kept}",
        "OWN": "123456789012-dev",
        "JOINED": "a+b",
        "SECOND": "q",
        "PICKED": "none",
        "FLAG": "true",
        "LONG": "dev!",
    }
    assert function.routes == (
        Route("shop-api", "POST", "/checkout", "2.0"),
        Route("serverless-rest-api", "ANY", "/{proxy+}", "1.0"),
    )
    assert function.queues == (QueueSource("arn:aws:sqs:us-east-1:123456789012:orders-dev", batch_size=5),)
    assert function.schedules == (
        ScheduleSource("checkout-function-often", "rate(1 minute)", '{"a": 1}'),
        ScheduleSource("nightly", "cron(0 3 * * ? *)", service="scheduler"),
    )
    assert [api.name for api in template.apis] == ["shop-api", "serverless-rest-api"]
    orders, dead = template.queues
    assert (orders.name, dead.name) == ("orders-dev", "order-dlq")
    assert orders.redrive == ("arn:aws:sqs:us-east-1:123456789012:order-dlq", 3)
    assert [table.name for table in template.tables] == ["orders-table", "simple"]
    assert template.tables[1].definition["AttributeDefinitions"] == [{"AttributeName": "key", "AttributeType": "N"}]


def test_parameters_are_given(write: Write) -> None:
    """A given parameter wins over the default, and conditions follow it."""
    template = Template.load(write(WHOLE), {"Stage": "prod"}, Place(aws_endpoint="http://aws"))
    assert template.functions[0].memory == 1024
    assert template.functions[0].environment["PICKED"] == "http://aws/123456789012/only-prod"
    assert template.functions[0].environment["GONE"] == "x"


def test_what_is_not_run_is_a_warning_with_its_line(write: Write) -> None:
    """Other runtimes, event types and resources are named; the rest runs. Roles need no word."""
    warnings = Template.load(write(WHOLE)).warnings
    assert len(warnings) == 3
    assert "events of type MSK are not emulated" in warnings[0]
    assert "'nodejs22.x' is not emulated" in warnings[1]
    assert warnings[2].split("template.yaml:")[1].startswith(f"{WHOLE[: WHOLE.index('Bus:')].count(chr(10)) + 1}: ")
    assert "AWS::Pipes::Pipe is not emulated" in warnings[2]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("Layers: ['arn:aws:lambda:r:1:layer:x:3']", "the layer arn:aws:lambda:r:1:layer:x:3 is not of this template"),
        ("TimeOut: 30", "TimeOut: is no property of a function; did you mean 'Timeout'?"),
        ("Environment: {Variables: {A: !ImportValue b}}", "'b' is exported by another stack"),
        ("Environment: {Variables: {A: '{{resolve:ssm:b}}'}}", "the template makes no 'b'; the reference stays"),
        ("Description: of gone.f", "is 'gone.f', but there is no gone.py in"),
    ],
)
def test_what_will_be_otherwise_is_a_warning(write: Write, more: str, words: str) -> None:
    """Each is told once, with its line."""
    path = write(function(more).replace("app.f", "gone.f" if "gone.f" in more else "app.f"))
    told = [one for one in Template.load(path).warnings if words in one]
    assert len(told) == 1
    assert told[0].startswith(f"{path}:2: Resources.F.Properties.")


def test_the_lesser_functions_of_cloudformation(write: Write) -> None:
    """Those that give text or numbers without another resource."""
    given = """{A: !Base64 hi, B: !Select [1, !GetAZs ''], C: {'Fn::ToJsonString': {a: [1]}}, D: {'Fn::Length': [1, 2]},
        E: !FindInMap [M, none, b, {DefaultValue: d}], F: !FindInMap [M, a, b, {DefaultValue: d}]}"""
    text = function(f"Environment: {{Variables: {given}}}") + "Mappings: {M: {a: {b: c}}}\n"
    values = Template.load(write(text)).functions[0].environment
    assert list(values.values()) == ["aGk=", "us-east-1b", '{"a": [1]}', "2", "d", "c"]


def test_code_where_the_cdk_left_it(write: Write) -> None:
    """A template of the CDK says that its code is on S3, and beside it which folder that was."""
    code = "Code: {S3Bucket: b, S3Key: k}, Handler: app.f, Runtime: python3.12"
    text = f"""Resources:
  F: {{Type: AWS::Lambda::Function, Properties: {{{code}}}, Metadata: {{"aws:asset:path": code}}}}
"""
    assert Template.load(write(text)).functions[0].code.name == "code"


def test_names() -> None:
    """A logical id in kebab case is the name of what has none."""
    assert [kebab(one) for one in ("OrderQueue", "HTTPApi", "DLQ", "Order2Queue")] == [
        "order-queue",
        "http-api",
        "dlq",
        "order2-queue",
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is not a template"),
        ("- a\n- b\n", 1, "is not a template"),
        ("Resources: {}\n", 1, "has no Resources"),
        ("Resources:\n  A: {Type: AWS::SQS::Queue}\n", 1, "there is no function to run"),
        ("Resources: [a]\n", 1, "Resources: must be a mapping, not a list"),
        ("a: [1\nb: 2\n", 2, "is not valid YAML"),
        ("Resources:\n  A: {}\n", 2, "Resources.A: has no 'Type'; add it"),
        ("Resources:\n  A: 1\n  A: 2\n", 3, "'A' stands here twice"),
        (function("Timeout: abc"), 2, "Timeout: is 'abc'; must be a whole number from 1 to 900"),
        (function("MemorySize: 64"), 2, "must be a whole number from 128 to 10240"),
        (function("CodeUri: none").replace("CodeUri: code, ", ""), 2, "the folder 'none' is not there"),
        (
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: python3.12\n"
            "      CodeUri: code\n",
            4,
            "Resources.F.Properties: has no 'Handler'; add it",
        ),
        (
            function().replace("app.f", "h"),
            2,
            "Handler: is 'h'; must be '<module>.<function>'",
        ),
        (
            function("Environment: {Variables: {A: !Ref Qu}}", QUEUE.replace("Q:", "Qua:")),
            2,
            "'Qu' is neither a parameter nor a resource of this template; did you mean 'Qua'?",
        ),
        (
            function("Environment: {Variables: {A: !GetAtt Q.Nope}}", QUEUE),
            2,
            "'Q' has no attribute 'Nope'; it has Arn, QueueName, QueueUrl",
        ),
        (function("MemorySize: !Cidr x"), 2, "Fn::Cidr is not supported here"),
        ("Resources:\n  Fn::ForEach::F: [N, [a], {}]\n", 2, "loops and transforms are not run here; write out"),
        (
            "Resources:\n  F: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}}\n",
            1,
            "container images",
        ),
        (f"Parameters:\n  P: {{Type: Number, Default: a}}\n{function()}", 2, "is 'a'; must be a number."),
        (function("Environment: {Variables: {AWS_REGION: x}}"), 2, "is reserved by Lambda"),
        (
            function("Events: {E: {Type: Schedule, Properties: {Schedule: rate(2 minute)}}}"),
            2,
            "must be as rate(1 minute) or rate(5 minutes)",
        ),
        (
            function("Events: {E: {Type: SQS, Properties: {Queue: 'arn:x'}}}"),
            2,
            "the queue arn:x is not in this template",
        ),
        (
            function(
                "Timeout: 60, Events: {E: {Type: SQS, Properties: {Queue: !GetAtt Q.Arn}}}",
                "  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 30\n",
            ),
            6,
            "is 30 s, less than the Timeout of F (60 s); AWS refuses that: set it to 360",
        ),
        (f"Parameters:\n  P: {{Type: String}}\n{function()}", 2, "has no default; give a value"),
        (
            function("FunctionName: a", function("FunctionName: a").removeprefix("Resources:\n").replace("F:", "G:")),
            3,
            "has the same name 'a' as F",
        ),
        ("a: &a {b: *a}\nResources: *a\n", 1, "nested too deep"),
    ],
)
def test_bad_templates(write: Write, text: str, line: int, words: str) -> None:
    """One sentence: file, line, what is wrong, what would be right."""
    path = write(text)
    with pytest.raises(TemplateError) as caught:
        Template.load(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value).strip()


def places(values: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value."""
    yield steps
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield from places(value, (*steps, key))


def test_a_wrong_value_anywhere_is_a_template_error(write: Write) -> None:
    """Whatever stands in the place of a value, the template loads or is refused by that error; a sample of them all."""
    values = dict(read_document(write(WHOLE)).values)
    wrong = [
        None,
        [],
        {},
        "x",
        5,
        -1,
        1.5,
        True,
        [1],
        {"a": 1},
        "${A",
        {"Ref": "Nope"},
        {"Ref": ["a"]},
        {"Ref": "AWS::NoValue"},
    ]
    wrong += [
        {"Ref": "AWS::NoValue"},
        {"Fn::GetAtt": 5},
        {"Fn::Sub": 5},
        {"Fn::If": [1, 2]},
        {"Fn::Join": "x"},
        {"Fn::Select": [9, ["a"]]},
    ]
    cases = [(steps, value) for steps in places(values) if steps for value in wrong]
    for steps, value in random.Random(4).sample(cases, 120):
        changed = copy.deepcopy(values)
        parent: Any = changed
        for step in steps[:-1]:
            parent = parent[step]
        parent[steps[-1]] = value
        with contextlib.suppress(TemplateError):
            Template.load(write(json.dumps(changed)))


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is missing, or no text, is said to be so."""
    with pytest.raises(TemplateError, match=r"cannot be read \(No such file or directory\); give the path"):
        Template.load(tmp_path / "none.yaml")
    with pytest.raises(TemplateError, match="cannot be read"):
        Template.load(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TemplateError, match="is not UTF-8"):
        Template.load(binary)


@pytest.mark.parametrize("given", [{"Stage": "test"}, {"Nope": "x"}])
def test_wrong_parameters(write: Write, given: Any) -> None:
    """A parameter that is unknown, or has a value that is not allowed, is refused."""
    with pytest.raises(TemplateError, match=r"must be one of dev, prod|there is no parameter 'Nope'"):
        Template.load(write(WHOLE), given)
