"""Some seconds of what `make fuzz` does for minutes: spoilt inputs for every door, the same ones each time."""

import random
from collections import Counter
from pathlib import Path

import pytest
from faasight_store import Store

from tests.fuzz import mutate
from tests.fuzz.doors import DOORS, Input, doors, knock, make
from tests.fuzz.stored import Check

INPUTS = 80  # for each door
SEED = 20_261_121


@pytest.mark.parametrize("store", ["embedded"], indirect=True)
def test_whatever_comes_is_refused_cleanly_or_stored(store: Store, tmp_path: Path) -> None:
    """All that is accepted is a row, a row of the quarantine, or a payload that the store refuses for good."""
    check, opened = Check(store), doors(tmp_path / "journal")
    outcomes: Counter[tuple[str, bool]] = Counter()
    accepted = []
    for number in range(INPUTS * len(DOORS)):
        given = make(random.Random(SEED + number), DOORS[number % len(DOORS)])
        outcome = knock(opened[given.door], given)
        outcomes[given.door, outcome.refusal is None] += 1
        accepted += outcome.parts
    check.land(accepted)
    assert check.found() == check.expected
    assert all(reason for _, _, reason in check.refused)
    assert all(outcomes[door, True] > INPUTS // 10 for door in DOORS), f"inputs too spoilt to test anything: {outcomes}"
    assert all(outcomes[door, False] for door in DOORS), f"inputs not spoilt enough: {outcomes}"


PIECES = (b" ", b"{},", b"[", b'{"a":', b"0,", b"\x0a\x00", b"\n", b'"",', b"[]")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_bombs_are_refused_or_nothing(door: str, packed: bool, tmp_path: Path) -> None:
    opened = doors(tmp_path / "journal")[door]
    for piece in PIECES:
        body = piece * (3_000_000 // len(piece))
        headers = {b"content-type": b"application/json"}
        if packed:
            headers[b"content-encoding"] = b"gzip"
            body = mutate.gzip.compress(body, 1)
        outcome = knock(opened, Input(door, headers, body))
        assert outcome.refusal is not None or sum(len(part.payload) for part in outcome.parts) == 0
