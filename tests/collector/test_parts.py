"""The parts of one request are answered together, when all of them are safe."""

import threading
from collections.abc import Callable

import pytest
from faasight_collector.errors import Refusal, overloaded
from faasight_collector.parts import WINDOW, Delivery, Part

Done = Callable[[Refusal | None], None]


class Disk:
    """Takes parts and says that they are safe when it is told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes, Done]] = []
        self.buried: list[Part] = []
        self.some = threading.Event()

    def accept(self, signal: str, payload: bytes, done: Done, key: bytes | None = None) -> None:  # noqa: ARG002
        """Keep it until `settle`."""
        self.taken.append((signal, payload, done))
        self.some.set()

    def bury(self, part: Part) -> None:
        """Keep it, if there is room."""
        if part.payload == b"no room":
            raise overloaded("disk_full", "no room")
        self.buried.append(part)

    def settle(self, refusal: Refusal | None = None) -> None:
        """Say what became of the oldest part."""
        _, _, done = self.taken.pop(0)
        done(refusal)


def test_the_answer_waits_for_the_last_part() -> None:
    disk, answers = Disk(), list[Refusal | None]()
    delivery = Delivery(disk, answers.append, patient=False)
    delivery.add(Part("records", b"a"))
    delivery.add(Part("metrics", b"b"))
    disk.settle()
    disk.settle()
    assert answers == [], "more may follow"
    delivery.close()
    assert answers == [None]


def test_one_part_refused_is_the_request_refused_once() -> None:
    disk, answers = Disk(), list[Refusal | None]()
    delivery = Delivery(disk, answers.append, patient=False)
    delivery.add(Part("records", b"a"))
    delivery.add(Part("metrics", b"b"))
    delivery.close()
    full = overloaded("disk_full", "full")
    disk.settle(full)
    disk.settle(overloaded("other", "later"))
    assert answers == [full]


def test_after_a_refusal_no_more_is_taken() -> None:
    disk, answers = Disk(), list[Refusal | None]()
    delivery = Delivery(disk, answers.append, patient=False)
    delivery.add(Part("records", b"a"))
    disk.settle(overloaded("disk_full", "full"))
    with pytest.raises(Refusal, match="full"):
        delivery.add(Part("records", b"b"))
    assert disk.taken == []


def test_a_request_without_parts_is_accepted() -> None:
    answers = list[Refusal | None]()
    Delivery(Disk(), answers.append, patient=True).close()
    assert answers == [None]


def test_what_cannot_be_read_is_buried_or_refused() -> None:
    disk, answers = Disk(), list[Refusal | None]()
    delivery = Delivery(disk, answers.append, patient=True)
    delivery.add(Part("records", b"bad", b"k", "why"))
    delivery.add(Part("records", b"no room", b"k2", "why"))
    delivery.close()
    assert [part.payload for part in disk.buried] == [b"bad"]
    assert [str(answer) for answer in answers] == ["no room"]


@pytest.mark.parametrize("reason", ["", "why"])
def test_a_fault_of_ours_leaves_no_request_without_its_answer(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    disk, answers = Disk(), list[Refusal | None]()
    delivery = Delivery(disk, answers.append, patient=True)
    delivery.add(Part("records", b"a"))
    for name in ("accept", "bury"):
        monkeypatch.setattr(disk, name, broken)
    with pytest.raises(ZeroDivisionError):
        delivery.add(Part("records", b"b", b"k", reason))
    fault = Refusal("internal", "a fault")
    delivery.close(fault)
    assert answers == [], "the first is not safe yet"
    disk.settle()
    assert answers == [fault]


def test_a_patient_one_waits_for_the_disk_before_it_takes_more() -> None:
    """So a request of gigabytes, unpacked, is never in memory as a whole."""
    disk, answers = Disk(), list[Refusal | None]()
    delivery = Delivery(disk, answers.append, patient=True)
    half = b"x" * (WINDOW // 2 + 1)

    def work() -> None:
        for _ in range(4):
            delivery.add(Part("records", half))
        delivery.close()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(4):
        assert disk.some.wait(180)
        disk.some.clear()
        assert len(disk.taken) == 1, "one at a time"
        disk.settle()
    thread.join(180)
    assert answers == [None]
