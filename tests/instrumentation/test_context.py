"""Trace context in and out."""

import pytest
from faasight import context
from faasight.spans import SERVER, Span
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"


def test_a_valid_header_is_read() -> None:
    remote = context.parse(HEADER, "faasight=f:checkout,other=1")
    assert remote is not None
    assert (remote.trace_id, remote.span_id, remote.caller) == (TRACE, SPAN, "checkout")


@pytest.mark.parametrize(
    "header",
    [
        None,
        7,
        "",
        "garbage",
        HEADER[:-3],
        HEADER.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{HEADER}-more",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
    ],
)
def test_an_invalid_header_is_none(header: object) -> None:
    assert context.parse(header) is None


def test_a_later_version_may_have_more_fields() -> None:
    assert context.parse(f"01-{TRACE}-{SPAN}-01-more") is not None


@limits(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=80), st.text(max_size=80))
def test_anything_may_come(parent: str, state: str) -> None:
    remote = context.parse(parent, state)
    assert remote is None or len(remote.trace_id) == 32


def test_names_of_headers_know_no_case() -> None:
    remote = context.extract({"TraceParent": HEADER, "TRACESTATE": "a=b"})
    assert remote is not None
    assert remote.state == "a=b"


def test_what_goes_out_names_us_first_and_keeps_the_others() -> None:
    span = Span("invoke", SERVER, TRACE)
    span.trace_state = "vendor=x, faasight=f:caller , other=y"
    parent, state = context.outgoing(span, "shop, the=best ü")
    assert parent == f"00-{TRACE}-{span.span_id}-01"
    assert state == "faasight=f:shop_ the_best _,vendor=x,other=y"
    assert context.parse(parent, state) is not None


def test_a_tracestate_has_at_most_32_entries() -> None:
    span = Span("invoke", SERVER, TRACE)
    span.trace_state = ",".join(f"k{n}=v" for n in range(40))
    _, state = context.outgoing(span, "shop")
    assert len(state.split(",")) == 32


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "5759e988bd862e3fe1be46a994272793",
        ),
        ("Sampled=1;Root=1-5759e988-bd862e3fe1be46a994272793", "5759e988bd862e3fe1be46a994272793"),
        ("Root=1-5759e988-short", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_id_of_an_x_ray_header(header: object, expected: str) -> None:
    assert context.xray_trace_id(header) == expected


@pytest.mark.parametrize("state", ["a=b\r\nX-Forged: 1", "a=\u2026", "a=\x00", "a=" + "x" * 2_000])
def test_a_tracestate_that_a_header_cannot_hold_goes_no_further(state: str) -> None:
    """It came in a message's attribute; in a header of the user's next call it would make that call fail."""
    remote = context.parse(HEADER, state)
    assert remote is not None
    assert (remote.trace_id, remote.state) == (TRACE, "")
