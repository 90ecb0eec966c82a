"""The journal's file format survives every kind of damage."""

import os

import pytest
from faasight_collector.segments import (
    HEADER_BYTES,
    MAGIC,
    Damage,
    Record,
    digest_of,
    encode_header,
    scan,
    varint,
)
from hypothesis import given
from hypothesis import strategies as st


def record(payload: bytes) -> bytes:
    return encode_header(payload, digest_of("traces", payload)) + payload


def payloads(data: bytes) -> list[bytes]:
    return [bytes(item.payload) for item in scan(data) if isinstance(item, Record)]


def damages(data: bytes) -> list[Damage]:
    return [item for item in scan(data) if isinstance(item, Damage)]


def test_records_come_back_as_they_were() -> None:
    bodies = [b"a", b"", os.urandom(70_000), MAGIC * 5]
    assert payloads(b"".join(record(body) for body in bodies)) == bodies


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8), st.data())
def test_a_cut_loses_only_the_record_that_was_cut(bodies: list[bytes], data: st.DataObject) -> None:
    """Whatever the last write lost, all records before it are read, and the rest is called torn."""
    whole = b"".join(record(body) for body in bodies)
    cut = data.draw(st.integers(1, HEADER_BYTES + len(bodies[-1])))
    assert payloads(whole[:-cut]) == bodies[:-1]
    remains = damages(whole[:-cut])
    assert [item.torn for item in remains] == ([True] if cut < HEADER_BYTES + len(bodies[-1]) else [])


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=3, max_size=8), st.data())
def test_a_flipped_bit_loses_only_its_record(bodies: list[bytes], data: st.DataObject) -> None:
    """A damaged record in the middle is reported, and all others are read."""
    whole = bytearray(b"".join(record(body) for body in bodies))
    hit = data.draw(st.integers(0, len(whole) - 1))
    whole[hit] ^= 1 << data.draw(st.integers(0, 7))
    end, index = 0, -1
    while end <= hit:
        index += 1
        end += HEADER_BYTES + len(bodies[index])
    assert payloads(bytes(whole)) == bodies[:index] + bodies[index + 1 :]
    assert len(damages(bytes(whole))) == 1


def test_a_complete_record_with_a_wrong_checksum_is_damage_and_not_a_torn_tail() -> None:
    data = bytearray(record(b"one") + record(b"two"))
    data[-1] ^= 1
    assert payloads(bytes(data)) == [b"one"]
    (damage,) = damages(bytes(data))
    assert not damage.torn
    assert damage.reason == "checksum mismatch"


def test_zeros_after_a_crash_of_the_machine_are_a_torn_tail() -> None:
    (damage,) = damages(record(b"one") + bytes(4096))
    assert damage.torn
    assert damage.offset == len(record(b"one"))


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (1 << 28, b"\x80\x80\x80\x80\x01")],
)
def test_varint(number: int, encoded: bytes) -> None:
    assert varint(number) == encoded
