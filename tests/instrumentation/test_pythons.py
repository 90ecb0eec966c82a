"""The wrapper on the other Pythons that its users have, 3.10 and up: those that are found on this machine."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import faasight
import pytest

PACKAGE = Path(faasight.__file__).parent
ZERO = PACKAGE / "zero"
OLDEST, NEWEST = 10, 16  # minor versions of Python 3 that are looked for
VERSIONS = [minor for minor in range(OLDEST, NEWEST) if minor != sys.version_info[1]]

IMPORTS = """
import importlib, pathlib, sys
package = pathlib.Path(sys.argv[1])
for path in sorted(package.rglob("*.py")):
    name = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
    if name in {"faasight.__main__", "faasight.aws"}:
        compile(path.read_bytes(), str(path), "exec")  # these start something
        continue
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name.partition(".")[0] in {"opentelemetry", "structlog"}, error
        compile(path.read_bytes(), str(path), "exec")
print("all of them")
"""

FUNCTIONS = """
import asyncio, logging, sys
import faasight
from faasight import agent, logs

@faasight.observe
def handler(event, context):
    faasight.metric("orders", 1)
    with faasight.span("work", items=2):
        logging.getLogger().warning("done")
    return {"statusCode": 200}

@faasight.observe
async def later(event, context):
    await asyncio.sleep(0)
    return 7

@faasight.observe
def streams(event, context):
    yield from "ab"

@faasight.observe(name="fails")
def fails(event, context):
    raise KeyError("no such order")

logging.basicConfig(stream=sys.stdout)
logs.use_json(agent.get())
assert handler({"Records": [{"eventSource": "aws:sqs", "messageId": "m1", "body": "{}"}]}, None) == {"statusCode": 200}
assert asyncio.run(later({"requestContext": {"http": {"method": "GET", "path": "/"}}, "rawPath": "/"}, None)) == 7
assert "".join(streams({}, None)) == "ab"
try:
    fails({}, None)
except KeyError:
    print("all of them")
"""


@cache
def python(minor: int) -> str:
    """Return a Python 3.`minor`, "" if there is none: on the path, or beside the one that we run on."""
    beside = Path(sys.base_prefix).parent.glob(f"3.{minor}.*/bin/python")
    for command in filter(None, (shutil.which(f"python3.{minor}"), *map(str, beside))):
        run = subprocess.run(
            [command, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if run.stdout.split() == ["3", str(minor)]:
            return command
    return ""


@pytest.fixture(params=VERSIONS, ids=lambda minor: f"3.{minor}")
def command(request: pytest.FixtureRequest) -> str:
    """Return each other Python; skips those that are not here."""
    return python(request.param) or pytest.skip(f"no Python 3.{request.param} on this machine")


def run(command: str, code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [command, "-W", "error", "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_module_is_for_that_python(command: str) -> None:
    assert run(command, IMPORTS, str(PACKAGE)) == "all of them\n"


def test_functions_of_each_kind_are_seen(command: str, sink: Any, tmp_path: Path) -> None:
    """With nothing but the standard library beside the wrapper."""
    printed = run(command, FUNCTIONS, FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_STRICT="1", TMPDIR=str(tmp_path))
    assert '"message":"done"' in printed


def test_what_is_done_by_choice_alone(command: str, sink: Any, tmp_path: Path) -> None:
    """Printed lines, telemetry that is held until the process ends, and a start without a line."""
    chosen = {"FAASIGHT_PRINT": "json", "FAASIGHT_FLUSH_EVERY": "3600", "PYTHONPATH": f"{ZERO}:{PACKAGE.parent}"}
    printed = run(
        command, FUNCTIONS, FAASIGHT_ENDPOINT=sink.endpoint, FAASIGHT_STRICT="1", TMPDIR=str(tmp_path), **chosen
    )
    assert '"message":"all of them","logger":"print"' in printed
    assert len(sink.wait(4)) == 4
    spans = {span.name: span for span in sink.wait(4)}
    assert set(spans) == {"process", "GET", "invoke", "fails"}
    assert spans["fails"].attributes["error.type"] == "KeyError"
    assert sink.named("work").parent_id == spans["process"].span_id
    version = spans["invoke"].resource["process.runtime.version"].split(".")[1]
    assert version != str(sys.version_info[1])
    assert [metric.name for metric in sink.metrics()] == ["orders"]
