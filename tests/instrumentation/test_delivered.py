"""Every invocation is told of, whatever becomes of sandbox and collector: a small run of benchmarks/delivery.py."""

import sys
from pathlib import Path

import faasight
import pytest

ROOT = Path(__file__).parents[2]


def test_frozen_killed_and_without_a_collector_each_invocation_has_one_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen after each answer; four of 200 die in the midst of their work; twice the collector is away."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import delivery
    from _sandbox import Command

    (tmp_path / "app.py").write_text(delivery.FUNCTION)
    wrapper = Path(faasight.__file__).with_name("faasight-exec")
    command = Command([str(wrapper), sys.executable, "-m", "awslambdaric", "app.handler"], tmp_path)
    result = delivery.measure(command, tmp_path, 200, ((0.2, 0.25), (0.6, 0.65)))
    assert (result.invocations, result.doubled) == (201, 0)
    assert result.lost == {"answered": 0, "over their limit": 0, "killed": 0}
    assert result.lines, "without a collector, the log is the way"
