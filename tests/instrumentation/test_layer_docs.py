"""docs/aws-lambda.md: its SAM template runs with a real layer, its other snippets are valid and say the same."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from faasight.settings import TABLE
from faasight_cli.arguments import build_parser
from faasight_cli.main import main
from faasight_emulator import Emulator, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "aws-lambda.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
VARIABLES = {"AWS_LAMBDA_EXEC_WRAPPER", "FAASIGHT_ENDPOINT"}


def block(language: str, mark: str = "") -> str:
    (found,) = [text for kind, text in BLOCKS if kind == language and mark in text]
    return str(found)


def test_all_blocks_are_known() -> None:
    assert sorted(kind for kind, _ in BLOCKS) == ["dockerfile", "python", "sh", "sh", "terraform", "yaml", "yaml"]


def test_every_variable_is_a_setting() -> None:
    assert set(re.findall(r"FAASIGHT_\w+", PAGE)) <= {row.env for row in TABLE}
    for kind, text in BLOCKS:
        assert kind in {"sh", "dockerfile"} or all(name in text for name in VARIABLES), kind


@pytest.mark.parametrize("command", re.findall(r"faasight layer build[^`\n)]*", PAGE))
def test_every_command_is_one(command: str) -> None:
    assert build_parser().parse_args(shlex.split(command)[1:]).entry == "layer:build"


def test_the_sam_template_runs_with_the_layer(tmp_path: Path, sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["layer", "build", "--output", "faasight-layer"]) == 0
    (tmp_path / "template.yaml").write_text(block("yaml", "Transform"))
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout/app.py").write_text(
        "import faasight\n\ndef handler(event, context):\n    return faasight.__file__\n"
    )
    settings = Settings(
        template=tmp_path / "template.yaml",
        gateway_port=0,
        collector=sink.endpoint,
        aws_endpoint="http://127.0.0.1:9",  # nothing in it needs AWS
        init_limit=60.0,
        parameters={"Collector": sink.endpoint},
    )
    emulator = Emulator(settings)
    emulator.start()
    try:
        result = emulator.invoke("Checkout", {})
    finally:
        emulator.stop()
    assert result.ok, result.payload
    assert str(tmp_path / "faasight-layer" / "python").encode() in result.payload
    (span,) = sink.wait()
    assert span.resource["deployment.environment.name"] == "production"


def test_terraform() -> None:
    parsed = hcl2.loads(block("terraform"))  # type: ignore[attr-defined]
    text = str(parsed)
    assert "aws_lambda_layer_version" in text
    assert "/opt/faasight" in text


def test_cdk() -> None:
    tree = ast.parse(block("python"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {"/opt/faasight", "faasight-layer.zip"} | VARIABLES <= texts


def test_serverless_framework() -> None:
    service = yaml.safe_load(block("yaml", "service:"))
    assert service["provider"]["environment"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/faasight"
    (name,) = service["layers"]
    # The framework names the resource by the layer: its name in title case, then LambdaLayer.
    assert service["provider"]["layers"] == [{"Ref": f"{name.capitalize()}LambdaLayer"}]
    assert service["layers"][name]["package"]["artifact"] == "faasight-layer.zip"


def test_the_image_puts_the_wrapper_where_the_variable_says() -> None:
    dockerfile = block("dockerfile")
    assert re.search(r'ln -s "\$\(python -m faasight exec-wrapper\)" (\S+)', dockerfile)[1] == "/opt/faasight"  # type: ignore[index]
    assert "AWS_LAMBDA_EXEC_WRAPPER=/opt/faasight" in dockerfile
