"""Texts and types of attributes: what was sent is told again, to the last bit."""

import base64
import math

import otlp
import pytest
from faasight_store import values
from opentelemetry.proto.common.v1.common_pb2 import ArrayValue, KeyValueList


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("0", "string", "0"),
        ("0", "int", 0),
        ("0", "double", 0.0),
        ("false", "string", "false"),
        ("false", "bool", False),
        ("true", "bool", True),
        ("-9223372036854775808", "int", -(2**63)),
        ("inf", "double", math.inf),
        ("-inf", "double", -math.inf),
        ("5e-324", "double", 5e-324),
        ("", "none", None),
        ("[]", "array", []),
        ("[]", "string", "[]"),
        ("{}", "map", {}),
        ("AP8=", "bytes", b"\x00\xff"),
        ('[1,1.0,null,"1",{"bytesValue":""}]', "array", [1, 1.0, None, "1", b""]),
        ('{"a":{"doubleValue":"-inf"}}', "map", {"a": -math.inf}),
    ],
)
def test_a_text_and_its_type_are_the_value(text: str, kind: str, value: values.Value) -> None:
    found = values.decode(text, kind)
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_one_again() -> None:
    found = values.decode("nan", "double")
    assert isinstance(found, float)
    assert math.isnan(found)


def deep(array: list[object], mapping: dict[str, object]) -> str:
    """Return a map whose members lie deeper than the engine's schema."""
    packed = ArrayValue(values=[otlp.any_value(item) for item in array]).SerializeToString()
    pairs = KeyValueList(values=otlp.attributes(mapping)).SerializeToString()
    first, second = base64.b64encode(packed).decode(), base64.b64encode(pairs).decode()
    return f'{{"a":{{"arrayValue":"{first}"}},"m":{{"mapValue":"{second}"}}}}'


def test_what_lies_deeper_than_the_schema_is_told_again() -> None:
    text = deep([1, "x", [b"\x00"]], {"k": {"n": [0.5, False]}})
    assert values.decode(text, "map") == {"a": [1, "x", [b"\x00"]], "m": {"k": {"n": [0.5, False]}}}


def test_people_see_plain_json() -> None:
    assert values.shown(deep([1, "ż"], {"k": {"n": b"\x00\xff"}}), "map") == '{"a":[1,"ż"],"m":{"k":{"n":"AP8="}}}'
    assert values.shown('[{"bytesValue":"AP8="}]', "array") == '["AP8="]'


def test_a_text_of_the_senders_own_that_looks_like_ours_stays() -> None:
    texts = {"a": '[{"bytesValue":"AP8="}]', "b": '[{"arrayValue":"/w=="}]', "c": '[{"bytesValue":"AP8="}]'}
    assert values.all_shown(texts, "array c") == {**texts, "c": '["AP8="]'}
    assert values.all_shown({"a": "x"}, "") == {"a": "x"}


def test_types_are_found_by_their_keys() -> None:
    column = "int a\nbool b c\ndouble d\ne\nint gone"
    assert values.types(column, ["a", "b c", "d\ne", "s"]) == {
        "a": "int",
        "b c": "bool",
        "d\ne": "double",
        "s": "string",
        "gone": "int",  # an attribute that has a column of its own
    }
    assert values.types("", ["a"]) == {"a": "string"}
    assert values.attributes({"a": "1", "s": "1"}, "int a") == {"a": 1, "s": "1"}
