"""JSONata in state machines: expressions, variables, every kind of state, and what goes wrong in them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from faasight_emulator import Emulator, Execution
from faasight_emulator.states.errors import StatesError
from faasight_emulator.states.jsonata import Query

Start = Callable[..., Emulator]
QUERY = Query(
    {
        "input": {"items": [{"n": 1, "t": "a"}, {"n": 7, "t": "b"}], "none": None},
        "context": {"Execution": {"Name": "e"}},
    },
    {"rate": 2},
)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{% $states.input.items[n > 5].t %}", "b"),
        ("  {%$states.context.Execution.Name & '!'%} ", "e!"),
        ({"a": ["{% $rate * 3 %}", 1, None], "{% key %}": True}, {"a": [6, 1, None], "{% key %}": True}),
        ("{% $states.input.none %}", None),
        ("{% $states.input.items.n %}", [1, 7]),
        ("{% $map([1..3], function($v) { $v * $rate }) %}", [2, 4, 6]),
        ("{% $partition([1..5], 2) %}", [[1, 2], [3, 4], [5]]),
        ("{% $range(0, 6, 3) %}", [0, 3, 6]),
        ("{% $parse('{\"a\": 1}').a %}", 1),
        ("{% $hash('x', 'SHA-1') %}", "11f6ad8ec52a2984abaafd7c3b516503785c2072"),
        ("{% $length($uuid()) %}", 36),
        ("{% $random(3) = $random(3) %}", True),
    ],
)
def test_expressions(template: Any, value: Any) -> None:
    """A text in {% %} is evaluated wherever it stands; the functions that AWS adds are there."""
    assert QUERY.of(template) == value


@pytest.mark.parametrize(
    "text",
    [
        "{% 1 + %}",
        "{% $nothing() %}",
        "{% 'a' + 1 %}",
        "{% $sum %}",
        "{% 1/0 %}",
        "{% ($f := function() { $f() + 1 }; $f()) %}",
    ],
)
def test_expressions_that_fail(text: str) -> None:
    """Each is the error of AWS, that may be caught; one without an end is ended."""
    with pytest.raises(StatesError) as caught:
        QUERY.of(text)
    assert caught.value.name == "States.QueryEvaluationError"
    with pytest.raises(StatesError, match="which is no boolean"):
        QUERY.holds("{% 1 %}")


def machine(**states: Any) -> str:
    """Return a template whose state machine has these states, over two functions, in JSONata."""
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
    return f"""
  Add: {{Type: AWS::Serverless::Function, Properties: {{Handler: steps.add}}}}
  Fail: {{Type: AWS::Serverless::Function, Properties: {{Handler: steps.fail}}}}
  Flow:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {json.dumps(definition)}
      DefinitionSubstitutions: {{Add: !GetAtt Add.Arn, Fail: !GetAtt Fail.Arn}}
"""


INVOKE = "arn:aws:states:::lambda:invoke"


def add(a: str, b: str) -> dict[str, Any]:
    return {"FunctionName": "${Add}", "Payload": {"a": a, "b": b}}


def test_every_kind_of_state(start: Start) -> None:
    """Arguments, outputs and assignments of each; branches see the variables around them and keep their own."""
    item = {"Type": "Pass", "Assign": {"mine": 1}, "Output": "{% $states.input * $rate %}", "End": True}
    emulator = start(
        machine(
            Begin={"Type": "Pass", "Assign": {"rate": "{% $states.input.rate %}", "first": True}, "Next": "Sum"},
            Sum={
                "Type": "Task",
                "Resource": INVOKE,
                "TimeoutSeconds": "{% 20 + 10 %}",
                "Arguments": add("{% $states.input.items[0] %}", "{% $rate %}"),
                "Assign": {"sum": "{% $states.result.Payload.sum %}", "first": "{% $first and false %}"},
                "Output": {"items": "{% $states.input.items %}", "sum": "{% $states.result.Payload.sum %}"},
                "Next": "Each",
            },
            Each={
                "Type": "Map",
                "Items": "{% $states.input.items %}",
                "ItemSelector": "{% $states.context.Map.Item.Value + $states.context.Map.Item.Index %}",
                "ItemProcessor": {"StartAt": "Item", "States": {"Item": item}},
                "Next": "Both",
            },
            Both={
                "Type": "Parallel",
                "Arguments": {"of": "{% $states.input %}"},
                "Branches": [
                    {"StartAt": "B", "States": {"B": {"Type": "Succeed", "Output": "{% $max($states.input.of) %}"}}},
                    {"StartAt": "C", "States": {"C": {"Type": "Wait", "Seconds": "{% 0 %}", "End": True}}},
                ],
                "Output": {"max": "{% $states.result[0] %}", "all": "{% $states.result[1].of %}"},
                "Next": "Which",
            },
            Which={
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.max > 100 %}", "Next": "Begin"}],
                "Default": "End",
                "Assign": {"chosen": "default"},
            },
            End={
                "Type": "Pass",
                "Output": "{% $merge([$states.input, "
                "{'sum': $sum, 'first': $first, 'mine': $exists($mine), 'by': $chosen}]) %}",
                "End": True,
            },
        )
    )
    done = emulator.execute("flow", {"rate": 2, "items": [3, 4, 5]})
    assert done.status == "SUCCEEDED", (done.error, done.cause)
    assert json.loads(done.output) == {
        "max": 14,
        "all": [6, 10, 14],
        "sum": 5,
        "first": False,
        "mine": False,
        "by": "default",
    }


def test_errors_are_caught(start: Start) -> None:
    """A catcher says what goes on and assigns; Fail says by expressions what went wrong."""
    said = {"Error": "{% $states.input.name %}", "Cause": "{% 'after ' & $tried %}"}
    catch = [
        {
            "ErrorEquals": ["States.ALL"],
            "Output": {"name": "{% $states.errorOutput.Error %}"},
            "Assign": {"tried": "{% $string($states.input.tries) %}"},
            "Next": "End",
        }
    ]
    work = {"Type": "Task", "Resource": INVOKE, "Catch": catch, "Next": "End"}
    emulator = start(
        machine(
            Which={
                "Type": "Choice",
                "Choices": [
                    {"Condition": "{% $states.input.wrong %}", "Next": "Query", "Output": "{% $states.input %}"},
                ],
                "Default": "Work",
            },
            Work={**work, "Arguments": {"FunctionName": "${Fail}", "Payload": {}}},
            Query={**work, "Arguments": add("{% $states.input.tries + 'x' %}", "1")},
            End={"Type": "Fail", **said},
        )
    )

    def ended(execution: Execution) -> tuple[str, str, str]:
        return execution.status, execution.error, execution.cause

    assert ended(emulator.execute("flow", {"tries": 3, "wrong": False})) == ("FAILED", "ValueError", "after 3")
    wrong = emulator.execute("flow", {"tries": 4, "wrong": True})
    assert ended(wrong) == ("FAILED", "States.QueryEvaluationError", "after 4")
    lost = emulator.execute("flow", {"tries": 4})
    assert (lost.status, lost.error) == ("FAILED", "States.QueryEvaluationError"), "a condition that is no boolean"
