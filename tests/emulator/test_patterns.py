"""Event patterns: what the operators of EventBridge's guide match, and what is refused."""

from typing import Any

import pytest
from faasight_emulator.sources.patterns import check_pattern, matches

EVENT: dict[str, Any] = {
    "source": "shop.orders",
    "detail-type": "OrderPlaced",
    "resources": ["arn:a", "arn:b"],
    "detail": {
        "total": 12.5,
        "count": 3,
        "paid": True,
        "note": None,
        "empty": "",
        "none": [],
        "ip": "10.0.0.7",
        "file": "a*b/photo.PNG",
        "lines": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}],
        "nested": [["deep"]],
        "customer": {"name": "Ada"},
    },
}


@pytest.mark.parametrize(
    ("detail", "yes"),
    [
        ({"count": [3]}, True),
        ({"count": [3.0]}, True),
        ({"count": ["3"]}, False),
        ({"count": [1, 2]}, False),
        ({"paid": [True]}, True),
        ({"paid": [1]}, False),
        ({"count": [True]}, False),
        ({"note": [None]}, True),
        ({"missing": [None]}, False),
        ({"empty": [""]}, True),
        ({"total": [{"numeric": [">", 10, "<=", 12.5]}]}, True),
        ({"total": [{"numeric": ["=", 12]}]}, False),
        ({"paid": [{"numeric": [">", 0]}]}, False),
        ({"file": [{"prefix": "a*b/"}]}, True),
        ({"file": [{"suffix": ".png"}]}, False),
        ({"file": [{"suffix": {"equals-ignore-case": ".png"}}]}, True),
        ({"file": [{"prefix": {"equals-ignore-case": "A*B"}}]}, True),
        ({"file": [{"equals-ignore-case": "A*B/PHOTO.png"}]}, True),
        ({"file": [{"wildcard": "a*/*.PNG"}]}, True),
        ({"file": [{"wildcard": r"a\*b/*"}]}, True),
        ({"file": [{"wildcard": r"a\*c*"}]}, False),
        ({"file": [{"wildcard": "a.b/photo.PNG"}]}, False),
        ({"count": [{"wildcard": "*"}]}, False),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"ip": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"file": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"count": [{"anything-but": 4}]}, True),
        ({"count": [{"anything-but": [3, 4]}]}, False),
        ({"file": [{"anything-but": {"prefix": "b"}}]}, True),
        ({"file": [{"anything-but": {"suffix": [".gif", ".PNG"]}}]}, False),
        ({"file": [{"anything-but": {"wildcard": "*photo*"}}]}, False),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"count": [{"exists": True}]}, True),
        ({"customer": [{"exists": True}]}, False),
        ({"none": [{"exists": False}]}, True),
        ({"lines": {"sku": ["y"]}}, True),
        ({"lines": {"sku": ["y"], "n": [2]}}, True),
        ({"lines": {"sku": ["z"]}}, False),
        ({"nested": ["deep"]}, True),
        ({"customer": {"name": ["Ada"]}}, True),
        ({"customer": {"age": [{"exists": False}]}}, True),
        ({"nobody": {"name": [{"exists": False}]}}, True),
        ({"nobody": {"name": ["Ada"]}}, False),
        ({"$or": [{"count": [9]}, {"paid": [True]}]}, True),
        ({"$or": [{"count": [9]}, {"paid": [False]}]}, False),
        ({"count": [3], "$or": [{"count": [9]}, {"paid": [True]}]}, True),
    ],
)
def test_operators(detail: dict[str, Any], yes: bool) -> None:
    assert check_pattern({"detail": detail}) == ""
    assert matches({"detail": detail}, EVENT) is yes


def test_a_list_matches_by_any_of_its_items() -> None:
    assert matches({"resources": ["arn:b"]}, EVENT)
    assert not matches({"resources": ["arn:c"]}, EVENT)


@pytest.mark.parametrize("event", [None, [], "text", 7, {}, {"detail": "text"}, {"detail": [1]}])
def test_events_of_any_shape_can_be_asked(event: object) -> None:
    assert not matches({"detail": {"a": ["b"]}}, event)
    assert matches({"detail": {"a": [{"exists": False}]}}, event)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ({}, "at least one field"),
        ([], "must be a mapping"),
        ({"source": "shop"}, "'source' must be a list"),
        ({"source": []}, "'source' must be a list"),
        ({"detail": {"a": {}}}, "'detail': 'a': a pattern must be"),
        ({"a": [["b"]]}, "a list cannot stand"),
        ({"a": [{"prefix": "b", "suffix": "c"}]}, "exactly one operator"),
        ({"a": [{"begins": "b"}]}, "there is no operator 'begins'"),
        ({"a": [{"prefix": 7}]}, "operand of 'prefix'"),
        ({"a": [{"numeric": [">"]}]}, "operand of 'numeric'"),
        ({"a": [{"numeric": ["~", 1]}]}, "operand of 'numeric'"),
        ({"a": [{"exists": "yes"}]}, "true or false"),
        ({"a": [{"anything-but": {"numeric": [">", 1]}}]}, "operand of 'anything-but'"),
        ({"a": [{"cidr": "10.0.0.0/99"}]}, "operand of 'cidr'"),
        ({"$or": [{"a": ["b"]}]}, "at least two patterns"),
        ({"$or": [{"a": ["b"]}, {"a": "b"}]}, "'a' must be a list"),
    ],
)
def test_what_is_no_pattern_is_told(pattern: object, words: str) -> None:
    assert words in check_pattern(pattern)
