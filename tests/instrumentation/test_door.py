"""The public door: complete, typed, and cheap to walk through."""

import ast
import subprocess
import sys
from pathlib import Path

import faasight
import pytest

DOOR = Path(faasight.__file__)


def test_each_name_of_the_door_is_there_and_documented() -> None:
    for name in faasight.__all__:
        value = getattr(faasight, name)
        assert name == "__version__" or value.__doc__, name
    assert dir(faasight) == sorted(faasight.__all__)


def test_types_and_lazy_names_are_the_same() -> None:
    """What type checkers see under TYPE_CHECKING is what `__getattr__` loads."""
    typed = {
        alias.name: node.module
        for node in ast.walk(ast.parse(DOOR.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("faasight.")
        for alias in node.names
    }
    assert typed == {name: f"faasight.{module}" for name, module in faasight._WHERE.items()}
    assert sorted([*typed, "__version__"]) == sorted(faasight.__all__)
    assert (DOOR.parent / "py.typed").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        faasight.nothing  # noqa: B018 - the access is what is tested


def test_no_name_of_the_door_is_hidden_by_a_module() -> None:
    """`faasight.span` must stay the function after `import faasight.spans`: no module may have a name of the door."""
    modules = {path.stem for path in DOOR.parent.glob("*.py")} | {
        path.name for path in DOOR.parent.iterdir() if path.is_dir()
    }
    assert not modules & set(faasight.__all__)


def loaded_by(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_door_alone_loads_nothing() -> None:
    added = loaded_by("import faasight") - loaded_by("")
    assert added <= {"faasight", "__future__"}


def test_a_decorated_function_loads_nothing_heavy() -> None:
    """An invocation with spans, metrics and an exception, sent over plain http: nothing banned is loaded on the way."""
    code = """
import os
os.environ["FAASIGHT_ENDPOINT"] = "http://127.0.0.1:9"
import faasight
@faasight.observe
def handler(event, context):
    faasight.metric("orders", 1)
    with faasight.span("work"):
        raise ValueError("x")
try:
    handler({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, None)
except ValueError:
    pass
"""
    banned = {
        "opentelemetry",
        "requests",
        "urllib3",
        "google",
        "asyncio",
        "ssl",
        "inspect",
        "dataclasses",
        "structlog",
        "http",
        "email",
    }
    assert not banned & {name.partition(".")[0] for name in loaded_by(code)}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["exec-wrapper"], 0), (["python-path"], 0), (["settings"], 0), ([], 2), (["nonsense"], 2)],
)
def test_the_command_line(arguments: list[str], status: int) -> None:
    run = subprocess.run([sys.executable, "-m", "faasight", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == status
    if arguments == ["exec-wrapper"]:
        wrapper = Path(run.stdout.strip())
        assert wrapper.stat().st_mode & 0o111, "it must be executable"
    if arguments == ["python-path"]:
        assert (Path(run.stdout.strip()) / "sitecustomize.py").is_file()
    if arguments == ["settings"]:
        assert "FAASIGHT_FLUSH_TIMEOUT=0.2" in run.stdout
