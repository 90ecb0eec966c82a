"""Compressed bodies: every encoding, every way to be wrong, and bombs."""

import gzip
import zlib

import pytest
from backports import zstd
from faasight_collector.decompress import decompress
from faasight_collector.errors import Refusal

LIMIT = 1_000_000
BODY = b"telemetry " * 5_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("encoding", PACKERS)
def test_each_encoding_is_unpacked(encoding: str) -> None:
    assert decompress(encoding, PACKERS[encoding](BODY), LIMIT) == BODY
    assert decompress(f" {encoding.upper()} ", PACKERS[encoding](BODY), LIMIT) == BODY


def test_identity_is_left_alone() -> None:
    assert decompress("identity", BODY, LIMIT) == BODY


def test_deflate_without_a_header_is_understood() -> None:
    assert decompress("deflate", raw_deflate(BODY), LIMIT) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_members_one_after_the_other_are_one_body(encoding: str) -> None:
    pack = PACKERS[encoding]
    assert decompress(encoding, pack(b"one ") + pack(b"two"), LIMIT) == b"one two"


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(encoding: str) -> None:
    pack = PACKERS[encoding]
    assert len(decompress(encoding, pack(bytes(LIMIT)), LIMIT)) == LIMIT
    with pytest.raises(Refusal) as refused:
        decompress(encoding, pack(bytes(LIMIT + 1)), LIMIT)
    assert refused.value.http == 413


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_bomb_is_refused_by_its_size(encoding: str) -> None:
    with pytest.raises(Refusal) as refused:
        decompress(encoding, PACKERS[encoding](bytes(300 * LIMIT)), LIMIT)
    assert refused.value.reason == "too_large"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_of_many_members_is_refused(encoding: str) -> None:
    with pytest.raises(Refusal) as refused:
        decompress(encoding, PACKERS[encoding](bytes(LIMIT // 2)) * 3, LIMIT)
    assert refused.value.http == 413


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_of_countless_empty_members_is_refused_at_once(encoding: str) -> None:
    """Nothing comes out of them, so that no limit of size is met; 20 MiB of them took minutes."""
    pack = PACKERS[encoding]
    assert decompress(encoding, pack(b"") * 500 + pack(b"all"), LIMIT) == b"all"
    with pytest.raises(Refusal) as refused:
        decompress(encoding, pack(b"") * 100_000 + pack(b"all"), LIMIT)
    assert (refused.value.http, refused.value.reason) == (413, "too_complex")


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "trailing"])
def test_corrupt_bodies_are_bad_requests(encoding: str, damage: str) -> None:
    packed = PACKERS[encoding](BODY)
    body = {"cut": packed[:-5], "noise": b"\x00" * 50, "empty": b"", "trailing": packed + b"\x55noise" * 3}[damage]
    with pytest.raises(Refusal) as refused:
        decompress(encoding, body, LIMIT)
    assert (refused.value.http, refused.value.reason) == (400, "corrupt_compression")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "snappy", "x" * 500])
def test_unknown_encodings_are_unsupported(encoding: str) -> None:
    with pytest.raises(Refusal, match="not supported: gzip, zstd, deflate, identity") as refused:
        decompress(encoding, BODY, LIMIT)
    assert refused.value.http == 415
