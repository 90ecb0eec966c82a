"""docs/emulator.md: its files and its program are written down and run."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


def test_the_example_runs(tmp_path: Path) -> None:
    """The page's function and template work with the page's program."""
    blocks = re.findall(r"^```\w+ (file=(\S+)|run)\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    programs = []
    for kind, name, text in blocks:
        path = tmp_path / (name or "program.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        programs += [path] if kind == "run" else []
    assert len(blocks) == 3
    for program in programs:
        done = subprocess.run(
            [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        assert '{"message": "Hello, Ada"}' in done.stdout
        assert "invocations=2, cold_starts=1" in done.stdout
