"""`faasight layer build`: the zip runs as /opt does, from its .pyc files, and is the same whenever it is built."""

import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from faasight_cli.main import main

LARGEST = 1_500_000  # bytes
HANDLER = (
    "import faasight\n\ndef handler(event, context):\n    return [faasight.__file__, faasight.observe.__module__]\n"
)


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the whole layer once."""
    output = tmp_path_factory.mktemp("layer") / "layer.zip"
    assert main(["layer", "build", "--extension", "--output", str(output)]) == 0
    return output


@pytest.fixture
def opt(layer: Path, tmp_path: Path) -> Path:
    """Unpack it as Lambda does below /opt, with the modes that the zip has."""
    folder = tmp_path / "opt"
    with zipfile.ZipFile(layer) as archive:
        for entry in archive.infolist():
            Path(archive.extract(entry, folder)).chmod(stat.S_IMODE(entry.external_attr >> 16))
    return folder


def test_it_is_small_and_complete(layer: Path) -> None:
    assert layer.stat().st_size <= LARGEST
    with zipfile.ZipFile(layer) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        programs = {entry.filename for entry in archive.infolist() if entry.external_attr >> 16 & 0o111}
        assert programs == {"faasight", "extensions/faasight-telemetry"}
        assert not [name for name in names if name.endswith((".so", ".pyi", "RECORD"))]
        assert [name for name in names if "opentelemetry_sdk" in name and name.endswith("entry_points.txt")]
        assert len([name for name in names if "LICENSE" in name]) >= 4


def test_the_same_input_makes_the_same_bytes(layer: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    assert main(["layer", "build", "--extension", "--output", str(again)]) == 0
    assert again.read_bytes() == layer.read_bytes()


def test_a_function_runs_with_it(opt: Path, function: Any, sink: Any) -> None:
    command = [str(opt / "faasight"), sys.executable, "-m", "awslambdaric", "app.handler"]
    sandbox = function(HANDLER, command=command, PYTHONPATH=str(opt / "python"))
    assert sandbox.invoke().body == [str(opt / "python/faasight/__init__.py"), "faasight.invoke"], sandbox.output()
    (span,) = sink.wait()
    assert span.attributes["faas.coldstart"] is True


def test_its_pyc_files_are_used_without_a_look_at_their_sources(opt: Path, function: Any, sink: Any) -> None:
    for source in (opt / "python").rglob("*.py"):
        source.write_text("raise RuntimeError('compiled from its source')\n")
    command = [str(opt / "faasight"), sys.executable, "-m", "awslambdaric", "app.handler"]
    sandbox = function(HANDLER, command=command, PYTHONPATH=str(opt / "python"))
    assert sandbox.invoke().kind == "response", sandbox.output()
    assert len(sink.wait()) == 1


EVERYTHING = """
import pkgutil, sys, importlib
sys.path.insert(0, sys.argv[1])
alone = [path for path in sys.path if "site-packages" in path]
assert not alone, alone
faasight_needs_a_function = ("faasight.aws", "faasight.hooks", "faasight.__main__")
optional = {"greenlet", "twisted", "opentelemetry.configuration"}
for module in pkgutil.walk_packages([sys.argv[1]], onerror=lambda name: None):
    if not module.name.startswith(faasight_needs_a_function):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            if missing.name not in optional:
                raise
import faasight
from opentelemetry.sdk.trace import TracerProvider
TracerProvider().get_tracer("x").start_span("y").end()
faasight.get_logger("a").info("b")
"""


def test_nothing_in_it_needs_what_is_not_in_it(opt: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", EVERYTHING, str(opt / "python")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def other_pythons() -> list[str]:
    """Return the newest interpreter of each other version that lies beside ours, as pyenv and uv lay them out."""
    found: dict[str, str] = {}
    for path in sorted(Path(sys.base_prefix).parent.glob("*/bin/python3.1[0-9]")):
        if path.name != f"python3.{sys.version_info.minor}":
            found[path.name] = str(path)
    return list(found.values())


def test_every_python_here_runs_it(tmp_path: Path, sink: Any) -> None:
    """The how-to's examples, with nothing but the layer; other versions are those of the machine, if it has any."""
    page = (Path(__file__).parents[2] / "docs" / "instrumentation.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    pythons = [sys.executable, *other_pythons()]
    named = [word for python in pythons for word in ("--python", python)]
    assert main(["layer", "build", *named, "--output", str(tmp_path / "opt")]) == 0
    path = f"import sys; sys.path.insert(0, {str(tmp_path / 'opt/python')!r})\n"
    for python in pythons:
        for code in examples:
            run = subprocess.run(
                [python, "-W", "error", "-S", "-c", path + code],
                env={"FAASIGHT_ENDPOINT": sink.endpoint, "FAASIGHT_STRICT": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert (run.returncode, run.stderr) == (0, ""), python
    told = {span.resource["process.runtime.version"].rpartition(".")[0] for span in sink.wait(len(pythons))}
    assert len(told) == len(pythons)


def test_the_lean_one_holds_the_wrapper_alone(tmp_path: Path, function: Any, sink: Any) -> None:
    output = tmp_path / "lean.zip"
    assert main(["layer", "build", "--lean", "--output", str(output)]) == 0
    with zipfile.ZipFile(output) as archive:
        assert {name.partition("/")[2].partition("/")[0] for name in archive.namelist()} == {"", "faasight"}
    assert output.stat().st_size < LARGEST / 3


def test_it_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "layer.zip"
    assert main(["layer", "build", "--lean", "--output", str(output)]) == 0
    said = capsys.readouterr().out
    assert f"fileb://{output}" in said
    assert "--compatible-runtimes python3." in said
    assert "AWS_LAMBDA_EXEC_WRAPPER=/opt/faasight" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--python", "/nowhere/python3"], "there is no Python '/nowhere/python3' here"),
        (["--python", "false"], "no Python that runs"),
        (["--lean", "--output", "/nowhere/layer.zip"], "/nowhere/layer.zip cannot be written"),
    ],
)
def test_a_wrong_argument_is_one_sentence(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["layer", "build", *arguments]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [], "nothing half made is left"


def test_an_old_python_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "python3.8"
    old.write_text("#!/bin/sh\necho '[[3, 8], \"cpython-38\"]'\n")
    old.chmod(0o755)
    assert main(["layer", "build", "--python", str(old), "--output", str(tmp_path / "x.zip")]) == 1
    assert "needs 3.10 or newer" in capsys.readouterr().err
