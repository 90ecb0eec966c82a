"""What is kept in memory has a bound; what was not used for longest goes first."""

from dataclasses import dataclass

from faasight_store.kept import Kept


@dataclass(frozen=True)
class Thing:
    """Something of a size."""

    nbytes: int


def test_the_bound_holds_and_what_was_used_stays() -> None:
    kept: Kept[Thing] = Kept(10_000)
    for key in range(4):
        kept.add({key: Thing(2000 - 512)})
    assert kept.nbytes == 8000
    assert set(kept.find([0, 9])) == {0}
    kept.add({"a": Thing(1488), "b": Thing(1488)})
    assert set(kept.find([0, 1, 2, 3, "a", "b"])) == {0, 2, 3, "a", "b"}
    assert kept.nbytes == 10_000


def test_what_takes_the_place_of_another_counts_once() -> None:
    kept: Kept[Thing] = Kept(10_000)
    kept.add({"a": Thing(5000)})
    kept.add({"a": Thing(100)})
    assert (kept.nbytes, kept.find(["a"])) == (612, {"a": Thing(100)})
    kept.clear()
    assert (kept.nbytes, kept.find(["a"])) == (0, {})


def test_what_is_larger_than_the_room_is_not_kept() -> None:
    kept: Kept[Thing] = Kept(1000)
    kept.add({"a": Thing(100)})
    kept.add({"b": Thing(5000)})
    assert (kept.nbytes, kept.find(["a", "b"])) == (0, {})
