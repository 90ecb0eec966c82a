"""What a rule's target gets: a constant, a part, or a filled template."""

import json
from typing import Any

import pytest
from faasight_emulator.sources.transform import Input, at, check_path

EVENT: dict[str, Any] = {
    "id": "e-1",
    "detail-type": "Order",
    "detail": {"items": [{"id": 7}, {"id": 8}], "name": 'Ada "the" first', "big": {"a": [1]}},
}
RULE = {"aws.events.rule-name": "orders"}


def got(**choice: Any) -> Any:
    return json.loads(Input(**choice).of(EVENT, RULE))


def test_the_whole_event_is_the_default() -> None:
    assert got() == EVENT


def test_a_constant_is_passed_as_it_is() -> None:
    assert Input(constant='{"a":  1}').of(EVENT, RULE) == '{"a":  1}'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", EVENT),
        ("$.detail-type", "Order"),
        ("$.detail.items[1].id", 8),
        ("$['detail-type']", "Order"),
        ("$.detail.items[9].id", None),
        ("$.nothing.there", None),
    ],
)
def test_paths(path: str, value: object) -> None:
    assert check_path(path)
    assert at(path, EVENT) == value
    assert got(path=path) == value


@pytest.mark.parametrize("path", ["detail", "$.detail[*]", "$..id", "$.a[?(@.b)]", "$."])
def test_paths_that_cannot_be_followed_are_known(path: str) -> None:
    assert not check_path(path)


def test_a_template_is_filled_within_and_without_quotes() -> None:
    paths = {"name": "$.detail.name", "items": "$.detail.items", "gone": "$.x"}
    texts = '"text": "Hello <name> <items>", "rule": "<aws.events.rule-name>"'
    template = f'{{{texts}, "name": <name>, "items": <items>, "gone": <gone>}}'
    assert got(template=template, paths=paths) == {
        "text": 'Hello Ada "the" first [{"id": 7}, {"id": 8}]',
        "name": 'Ada "the" first',
        "items": [{"id": 7}, {"id": 8}],
        "gone": None,
        "rule": "orders",
    }


def test_a_template_of_text_becomes_text() -> None:
    assert got(template="Order <id> of <name>", paths={"id": "$.id", "name": "$.detail.name"}) == (
        'Order e-1 of Ada "the" first'
    )
    assert got(template='"Order <id>"', paths={"id": "$.id"}) == "Order e-1"


def test_the_whole_event_within_a_template() -> None:
    assert got(template='{"e": <aws.events.event.json>}') == {"e": EVENT}
    assert "detail" not in got(template='{"e": <aws.events.event>}')["e"]
