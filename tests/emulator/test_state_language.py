"""Amazon States Language without functions: paths, intrinsics, choices, definitions."""

import base64
from typing import Any

import pytest
from faasight_emulator.states.choice import holds
from faasight_emulator.states.definition import compensations, problem_of
from faasight_emulator.states.errors import StatesError
from faasight_emulator.states.intrinsics import evaluate
from faasight_emulator.states.paths import read, write
from faasight_emulator.states.payload import fill

VALUE = {"a": {"b": [1, {"c": "x"}]}, "list": [{"n": 1, "t": "u"}, {"n": 2, "t": "v"}], "with space": 3, "größe": 4}
CONTEXT = {"Execution": {"Name": "e"}, "Map": {"Item": {"Index": 2}}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", VALUE),
        ("$.a.b[1].c", "x"),
        ("$['a']['b'][0]", 1),
        ("$['with space']", 3),
        ("$.größe", 4),
        ("$.list[*].n", [1, 2]),
        ("$.list[0:1]", [{"n": 1, "t": "u"}]),
        ("$.list[-1].n", 2),
        ("$..n", [1, 2]),
        ("$.list[?(@.n==2)].t", ["v"]),
        ("$.list[?(@.n>9)]", []),
        ("$$.Execution.Name", "e"),
        ("$$", CONTEXT),
    ],
)
def test_reading(path: str, found: Any) -> None:
    """A path that names one place gives it; one that may find several gives a list."""
    assert read(path, VALUE, CONTEXT) == found


@pytest.mark.parametrize("path", ["$.none", "$.a.b[7]", "$.a.b.c", "$$.Task.Token", "$.[", "$.list[-9].n"])
def test_reading_nothing(path: str) -> None:
    """A path that finds nothing, or is none, is the error of AWS."""
    with pytest.raises(StatesError) as caught:
        read(path, VALUE, CONTEXT)
    assert caught.value.name == "States.ParameterPathFailure"


def test_writing() -> None:
    """A result is put in its place, objects on the way are made, and the input stays as it was."""
    given = {"a": 1, "list": [1, 2]}
    assert write("$", given, 7) == 7
    assert write("$.b.c", given, 7) == {"a": 1, "list": [1, 2], "b": {"c": 7}}
    assert write("$.list[1]", given, 7) == {"a": 1, "list": [1, 7]}
    assert given == {"a": 1, "list": [1, 2]}
    for path, value in (("$.a.b", given), ("$.list[9]", given), ("$.x", 5), ("$.list[*]", given), ("$..a", given)):
        with pytest.raises(StatesError) as caught:
            write(path, value, 7)
        assert caught.value.name == "States.ResultPathMatchFailure"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("States.Format('{} of {}, {}', $.a.b[0], 'it\\'s', $.list[0])", '1 of it\'s, {"n": 1, "t": "u"}'),
        ("States.Format('\\{{}\\}', 1)", "{1}"),
        ("States.StringToJson('{\"x\": [1]}')", {"x": [1]}),
        ("States.JsonToString($.list[0])", '{"n":1,"t":"u"}'),
        ("States.Array(1, 'two', $.a.b[1].c, null, true, -1.5)", [1, "two", "x", None, True, -1.5]),
        ("States.Array()", []),
        ("States.ArrayPartition(States.ArrayRange(1, 5, 1), 2)", [[1, 2], [3, 4], [5]]),
        ("States.ArrayRange(9, 1, -4)", [9, 5, 1]),
        ("States.ArrayContains($.list[*].n, 2)", True),
        ("States.ArrayContains(States.Array(1), true)", False),
        ("States.ArrayGetItem($.list[*].t, 1)", "v"),
        ("States.ArrayLength($.list)", 2),
        ("States.ArrayUnique(States.Array(1, 1, 'a', 'a'))", [1, "a"]),
        ("States.Base64Encode('hi')", base64.b64encode(b"hi").decode()),
        ("States.Base64Decode('aGk=')", "hi"),
        ("States.Hash('', 'SHA-256')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("States.JsonMerge($.list[0], $.a, false)", {"n": 1, "t": "u", "b": [1, {"c": "x"}]}),
        ("States.MathAdd($.a.b[0], -3)", -2),
        ("States.MathRandom(4, 5)", 4),
        ("States.StringSplit('a,b;c', ',;')", ["a", "b", "c"]),
        ("States.Format('{}', States.ArrayLength($.list[?(@.n==2)]))", "1"),
        ("States.Format('{}', $$.Map.Item.Index)", "2"),
    ],
)
def test_intrinsics(text: str, found: Any) -> None:
    """Each intrinsic function gives what the documentation says, nested too."""
    assert evaluate(text, VALUE, CONTEXT) == found


@pytest.mark.parametrize(
    "text",
    [
        "States.Nothing(1)",
        "States.Format('{}')",
        "States.Format('{}', 1",
        "States.Format('{}' 1)",
        "States.ArrayGetItem($.list, 9)",
        "States.Hash('a', 'CRC')",
        "States.ArrayRange(0, 9999, 1)",
        "States.StringToJson('{')",
        "States.JsonMerge($.a, $.a, true)",
        "States.UUID() and more",
        "$.a",
    ],
)
def test_wrong_intrinsics(text: str) -> None:
    """What cannot be evaluated is an intrinsic failure, never an error of ours."""
    with pytest.raises(StatesError) as caught:
        evaluate(text, VALUE, CONTEXT)
    assert caught.value.name == "States.IntrinsicFailure"


def test_payload_templates() -> None:
    """Keys that end in .$ are replaced at every depth; the rest stays."""
    template = {"x.$": "$.a.b[0]", "keep": "$.a", "in": [{"u.$": "States.Format('{}', 1)"}], "e.$": "$$.Execution.Name"}
    assert fill(template, VALUE, CONTEXT) == {"x": 1, "keep": "$.a", "in": [{"u": "1"}], "e": "e"}
    with pytest.raises(StatesError):
        fill({"x.$": 5}, VALUE, CONTEXT)


@pytest.mark.parametrize(
    ("rule", "truth"),
    [
        ({"Variable": "$.n", "NumericEquals": 5}, True),
        ({"Variable": "$.n", "NumericGreaterThanEquals": 5}, True),
        ({"Variable": "$.n", "NumericLessThanPath": "$.more"}, True),
        ({"Variable": "$.s", "StringEquals": "ab"}, True),
        ({"Variable": "$.s", "StringGreaterThan": "aa"}, True),
        ({"Variable": "$.n", "StringEquals": "5"}, False),
        ({"Variable": "$.yes", "NumericEquals": 1}, False),
        ({"Variable": "$.s", "StringMatches": "a*"}, True),
        ({"Variable": "$.star", "StringMatches": "*\\*"}, True),
        ({"Variable": "$.s", "StringMatches": "*\\*"}, False),
        ({"Variable": "$.yes", "BooleanEquals": True}, True),
        ({"Variable": "$.t", "TimestampLessThan": "2026-01-02T00:00:00+01:00"}, True),
        ({"Variable": "$.s", "TimestampLessThan": "2026-01-02T00:00:00Z"}, False),
        ({"Variable": "$.none", "IsPresent": False}, True),
        ({"Variable": "$.null", "IsPresent": True}, True),
        ({"Variable": "$.null", "IsNull": True}, True),
        ({"Variable": "$.s", "IsNumeric": False}, True),
        ({"Variable": "$.t", "IsTimestamp": True}, True),
        ({"And": [{"Variable": "$.n", "IsNumeric": True}, {"Not": {"Variable": "$.n", "NumericEquals": 6}}]}, True),
        ({"Or": [{"Variable": "$.n", "NumericEquals": 6}, {"Variable": "$.s", "IsString": True}]}, True),
    ],
)
def test_choices(rule: dict[str, Any], truth: bool) -> None:
    """Values are compared within their kind alone; what is of another kind does not hold."""
    value = {"n": 5, "more": 6, "s": "ab", "star": "a*", "yes": True, "t": "2026-01-01T00:00:00Z", "null": None}
    assert holds(rule, value, {}) is truth


STATES = {
    "StartAt": "Pay",
    "States": {
        "Pay": {"Type": "Task", "Resource": "arn:x", "Next": "Ship", "Catch": [{"ErrorEquals": [], "Next": "Sorry"}]},
        "Ship": {"Type": "Task", "Resource": "arn:x", "Next": "Done", "Catch": [{"ErrorEquals": [], "Next": "Refund"}]},
        "Refund": {"Type": "Task", "Resource": "arn:x", "Next": "Sorry"},
        "Sorry": {"Type": "Task", "Resource": "arn:x", "Next": "Failed"},
        "Failed": {"Type": "Fail"},
        "Done": {"Type": "Succeed"},
    },
}


def test_compensations() -> None:
    """What is reached only by a Catch undoes; what the usual way passes too does not."""
    assert compensations(STATES) == {"Refund", "Sorry", "Failed"}
    states = {**STATES["States"], "Ship": {**STATES["States"]["Ship"], "Next": "Sorry"}}  # type: ignore[dict-item]
    assert compensations({"StartAt": "Pay", "States": states}) == {"Refund"}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"Type": "Job"}, "is of type 'Job'; must be one of Task, Pass"),
        ({"Type": "Pass"}, "has neither 'Next' nor 'End: true'; add one."),
        ({"Type": "Pass", "Next": "B"}, "goes on to 'B', which is no state; there are A."),
        ({"Type": "Task", "End": True}, "has the Resource None; must be an ARN"),
        ({"Type": "Choice", "Choices": []}, "has no 'Choices'; add at least one."),
        ({"Type": "Choice", "Choices": [{"Variable": "$", "Is": 1, "Next": "A"}]}, "a comparison that is known"),
        ({"Type": "Wait", "End": True}, "must have one of Seconds"),
        (
            {"Type": "Pass", "End": True, "QueryLanguage": "SQL"},
            "has the QueryLanguage 'SQL'; must be JSONPath or",
        ),
        ({"Type": "Pass", "End": True, "Assign": {}}, "has 'Assign', which is emulated with JSONata only"),
        (
            {"Type": "Pass", "End": True, "QueryLanguage": "JSONata", "InputPath": "$"},
            "'InputPath', which is emulated",
        ),
        (
            {"Type": "Pass", "End": True, "QueryLanguage": "JSONata", "Output": {"a": ["{% 1 + %}"]}},
            "has an expression that is no JSONata (Unexpected end of expression): 1 +",
        ),
        (
            {"Type": "Choice", "QueryLanguage": "JSONata", "Choices": [{"Variable": "$", "Next": "A"}]},
            "has a rule without 'Condition'",
        ),
        ({"Type": "Parallel", "End": True, "Branches": [{}]}, "has a branch that has no 'States'"),
        ({"Type": "Map", "End": True}, "has an ItemProcessor that has no 'States'"),
        ("text", "is no mapping"),
    ],
)
def test_definitions_that_cannot_be(state: Any, words: str) -> None:
    """Each is refused with a sentence that says what would be right."""
    assert words in (problem_of({"StartAt": "A", "States": {"A": state}}) or "")


def test_definitions_that_begin_nowhere() -> None:
    """A start that is no state, and no states at all."""
    assert "starts at 'B', which is no state" in (problem_of({**STATES, "StartAt": "B"}) or "")
    assert "state 'A' has the QueryLanguage 'JSONPath'; must be JSONata" in (
        problem_of(
            {
                "QueryLanguage": "JSONata",
                "StartAt": "A",
                "States": {"A": {"Type": "Pass", "End": True, "QueryLanguage": "JSONPath"}},
            }
        )
        or ""
    )
    assert "has no 'States'" in (problem_of({"StartAt": "A"}) or "")
    assert problem_of(STATES) is None
