"""The wrapper's only voice."""

import sys

import pytest
from faasight import complain
from faasight.complain import Complaints


def test_one_line_a_minute_and_the_rest_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(complain.time, "monotonic", lambda: now)
    complaints = Complaints()
    for _ in range(4):
        complaints.say("no collector")
    now += 61
    complaints.say("no collector")
    assert capsys.readouterr().err.splitlines() == [
        "faasight: no collector",
        "faasight: no collector (and 3 more)",
    ]


def test_without_stderr_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    Complaints().say("nobody hears")


def test_strict_raises() -> None:
    with pytest.raises(ValueError, match="own fault"):
        Complaints(strict=True).failure("flush", ValueError("own fault"))
