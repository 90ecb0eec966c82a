"""Each code block of docs/instrumentation.md runs, and its table is that of the program."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faasight.settings import TABLE

PAGE = (Path(__file__).parents[2] / "docs" / "instrumentation.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]


def test_all_blocks_are_known() -> None:
    assert len(PYTHON) + len(SHELL) == len(BLOCKS) >= 4


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python(code: str, sink: Any) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "FAASIGHT_ENDPOINT": sink.endpoint},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    sink.wait(code.count("\nhandler(") + code.count("\nreport("))


def test_the_exec_wrapper_as_a_runtime_starts_it(function: Any, sink: Any) -> None:
    (code,) = SHELL
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    sandbox = function("def handler(event, context):\n    return event\n", command=["sh", "-ec", code], PATH=path)
    assert sandbox.invoke({"a": 1}).body == {"a": 1}, sandbox.output()
    assert len(sink.wait()) == 1


def test_the_table_of_settings() -> None:
    rows = re.findall(r"^\| `((?:FAASIGHT|OTEL)_\w+)` \|(?: `(.*?)`)? \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(row.env, row.default, row.meaning) for row in TABLE]
