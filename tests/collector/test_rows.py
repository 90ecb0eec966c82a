"""Requests become the rows that the store lands: every resource once, and nothing that is none."""

import secrets
from itertools import pairwise
from pathlib import Path

import otlp
import pytest
from faasight_collector.rows import Rows
from faasight_collector.segments import Record, contents
from faasight_store import Store
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

# What no version of OTLP has beside resources: a number, a text, a group, field 1 as a number.
FOREIGN = (b"\x38\x05", b"\x12\x02hi", b"\x1b\x08\x01\x1c", b"\x08\x07", b"\x0d1234")


def request(*names: str) -> bytes:
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(schema_url=n) for n in names]).SerializeToString()


def names(rows: bytes) -> list[str]:
    """Read rows as the engine does."""
    found = []
    while rows:
        length = shift = position = 0
        while True:
            byte, position = rows[position], position + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found.append(ResourceSpans.FromString(rows[position : position + length]).schema_url)
        rows = rows[position + length :]
    return found


def joined(*payloads: bytes) -> bytes:
    records = [Record(b"", memoryview(payload)) for payload in payloads]
    rows = Rows("traces", records)
    whole = bytes(Rows("traces", records))
    assert len(rows) == len(whole)
    assert b"".join(rows) == whole
    return whole


@pytest.mark.parametrize("length", [0, 1, 120, 127, 128, 16_381, 16_384, 3_000_000])
def test_a_request_of_one_resource_is_a_row(length: int) -> None:
    assert names(joined(request("x" * length), request("y"))) == ["x" * length, "y"]


def test_a_request_of_several_is_several_rows_and_an_empty_one_is_none() -> None:
    assert names(joined(b"", request("a", "", "b"), request("c"))) == ["a", "", "b", "c"]
    assert joined() == b""


@given(st.lists(st.one_of(st.sampled_from(FOREIGN), st.text(max_size=200)), max_size=6))
def test_what_is_no_resource_is_left_out(parts: list[bytes | str]) -> None:
    """Wherever it stands; the engine would take any field for a resource."""
    payload = b"".join(part if isinstance(part, bytes) else request(part) for part in parts)
    assert names(joined(payload)) == [part for part in parts if isinstance(part, str)]


def test_lines_stay_as_they_are() -> None:
    records = [Record(b"", memoryview(b'{"a":1}\n')), Record(b"", memoryview(b"{}\n"))]
    assert bytes(Rows("records", records)) == b'{"a":1}\n{}\n'


def test_rows_come_in_pieces_and_are_let_go_of() -> None:
    """Many small ones, and one that is larger than any piece; nothing holds the segment when all are read."""
    segment = bytearray(secrets.token_bytes(3_000_000))
    ends = [*range(0, 600_000, 1000), len(segment)]
    view = memoryview(segment)
    rows = Rows("records", [Record(b"", view[start:end]) for start, end in pairwise(ends)])
    view.release()
    pieces = list(rows)
    assert b"".join(pieces) == segment
    assert len(pieces) > 10
    segment.clear()  # which a view of it would forbid
    assert not list(rows)


@pytest.mark.parametrize("size", [0, 100, 5_000_000, 9_000_001])
def test_a_segment_of_any_size_is_read_whole(tmp_path: Path, size: int) -> None:
    data = secrets.token_bytes(size)
    (tmp_path / "segment").write_bytes(data)
    assert bytes(memoryview(contents(tmp_path / "segment"))) == data


@pytest.mark.parametrize("shared_store", ["embedded"], indirect=True)
def test_the_engine_stores_what_stands_beside_foreign_fields(shared_store: Store) -> None:
    spans = [otlp.span(f"n{n}", 1, 1) for n in range(2)]
    known = [otlp.traces([span], otlp.resource("foreign")).SerializeToString() for span in spans]
    shared_store.land("traces", joined(FOREIGN[2] + known[0] + b"".join(FOREIGN) + known[1]), "foreign fields")
    assert shared_store.query("SELECT name FROM spans WHERE function = 'foreign' ORDER BY name") == [("n0",), ("n1",)]
