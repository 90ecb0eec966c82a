"""What is kept in memory has a bound; what was not used for longest goes first."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from faasight_store.kept import LEAST, Kept


@dataclass(frozen=True)
class Thing:
    """Something of a size."""

    nbytes: int


def test_the_bound_holds_and_what_was_used_stays() -> None:
    kept: Kept[Thing] = Kept(50_000)
    for key in range(4):
        kept.add({key: Thing(10_000 - LEAST)})
    assert kept.nbytes == 40_000
    assert set(kept.find([0, 9])) == {0}
    kept.add({"a": Thing(10_000 - LEAST), "b": Thing(10_000 - LEAST)})
    assert set(kept.find([0, 1, 2, 3, "a", "b"])) == {0, 2, 3, "a", "b"}
    assert kept.nbytes == 50_000


def test_what_takes_the_place_of_another_counts_once() -> None:
    kept: Kept[Thing] = Kept(10_000)
    kept.add({"a": Thing(5000)})
    kept.add({"a": Thing(100)})
    assert (kept.nbytes, kept.find(["a"])) == (LEAST + 100, {"a": Thing(100)})
    kept.clear()
    assert (kept.nbytes, kept.find(["a"])) == (0, {})


def test_what_is_larger_than_the_room_is_not_kept() -> None:
    kept: Kept[Thing] = Kept(5000)
    kept.add({"a": Thing(100)})
    kept.add({"b": Thing(5000)})
    assert (kept.nbytes, kept.find(["a", "b"])) == (0, {})


def test_what_is_missing_is_read_once_and_returned_even_if_there_is_no_room() -> None:
    for room, kept_then in ((10_000, {"a": Thing(100), "b": Thing(200)}), (0, {})):
        kept: Kept[Thing] = Kept(room)
        asked: list[dict[object, int]] = []

        def read(missing: Mapping[Hashable, int], asked: list[dict[object, int]] = asked) -> dict[Hashable, Thing]:
            asked.append(dict(missing))
            return {key: Thing(size) for key, size in missing.items()}

        assert kept.filled({"a": 100}, read) == [Thing(100)]
        assert kept.filled({"b": 200, "a": 100}, read) == [Thing(200), Thing(100)]
        assert kept.find("ab") == kept_then
        assert asked == [{"a": 100}, {"b": 200} if room else {"b": 200, "a": 100}]
