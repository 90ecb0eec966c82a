"""Large messages are checked in pieces: what the parser takes and refuses as a whole, the pieces do too."""

import pytest
from faasight_collector import check
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def _request(spans: int, text: int = 20) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for n in range(spans):
        span = scope.spans.add(name=f"{n}" * text, start_time_unix_nano=n, kind=3, flags=1)
        span.attributes.add(key="k").value.string_value = "ä" * text
    return request


def _refused(body: bytes) -> bool:
    try:
        ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return True
    return False


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every message a large one."""
    monkeypatch.setattr(check, "PIECE", 64)


@pytest.mark.usefixtures("small_pieces")
def test_a_valid_message_is_taken() -> None:
    """One much larger than a piece, with fields larger than a piece too."""
    check.check(ExportTraceServiceRequest, _request(50).SerializeToString())
    check.check(ExportTraceServiceRequest, _request(3, text=500).SerializeToString())


_BODY = _request(12).SerializeToString()


@pytest.mark.usefixtures("small_pieces")
@given(
    cut=st.integers(1, len(_BODY)),
    changes=st.lists(st.tuples(st.integers(0, len(_BODY) - 1), st.integers(0, 255)), max_size=3),
)
def test_pieces_refuse_what_the_parser_refuses(cut: int, changes: list[tuple[int, int]]) -> None:
    """Cut and corrupt messages get the same verdict in pieces as in one."""
    body = bytearray(_BODY)
    for position, value in changes:
        body[position] = value
    body = body[:cut]
    if _refused(bytes(body)):
        with pytest.raises(DecodeError):
            check.check(ExportTraceServiceRequest, bytes(body))
    else:
        check.check(ExportTraceServiceRequest, bytes(body))
