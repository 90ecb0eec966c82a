"""The language of log search: what it means, where it is wrong, and that it reaches the SQL as values only."""

import re

import pytest
from faasight_store import QueryError
from faasight_store.queries import log_query
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        ('level:error -path:/health "free text" word', ["level=error", "-path=/health", "=free text", "=word"]),
        ('message:"a \\"b\\" c" k:v:w', ['message=a "b" c', "k=v:w"]),
        ("http://x", ["http=//x"]),
        ("10:30", ["=10:30"]),
    ],
)
def test_terms(query: str, terms: list[str]) -> None:
    read = [f"{'-' if t.negated else ''}{t.field}={t.value}" for t in log_query.parse(query)]
    assert read == terms


@pytest.mark.parametrize(
    ("query", "told", "position"),
    [
        ('ok "open', "character 4.*quote is not closed", 3),
        ("path:", "character 6.*value is missing", 5),
        ("a - b", "character 3.*right before", 2),
        ("x duration_ms:>fast", "number, not 'fast' .at character 3", 2),
        ("level:loud", "no level 'loud'.*debug", 0),
        ("a trace_id:12", "32 hexadecimal digits", 2),
        ("a " * 31, "more than 30 terms", 60),
        ("a" * 2001, "longer than 2000", 2000),
    ],
)
def test_a_fault_is_named_with_its_place(query: str, told: str, position: int) -> None:
    with pytest.raises(QueryError, match=told) as caught:
        log_query.to_sql(query)
    assert caught.value.position == position


_SHAPE = re.compile(
    r"[\s()=<>!]|NOT|AND|OR|IN|ILIKE|message|function|request_id|logger|version|instance|environment|level|trace_id|span_id"
    r"|unhex|attributes\[|\]|positionCaseInsensitiveUTF8|ifNull|toFloat64OrNull|,|''|\d|\{q\d+:(String|Float64)\}"
)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:\"'\\-*><= ;(){}`%_\n山é0"), max_size=40))
def test_no_text_of_a_query_becomes_sql(query: str) -> None:
    try:
        condition = log_query.to_sql(query)
    except QueryError:
        return
    assert _SHAPE.sub("", condition.text) == ""
