"""Each code block of docs/security.md runs, in its order, with a collector that it starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from faasight_cli import settings
from faasight_collector.access import tokens
from ports import free_ports

from tests.support.certificates import Authority

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SERVE = re.compile(r"^faasight up .*$", re.MULTILINE)


def script(http: int, grpc: int) -> str:
    """Return all blocks in one; what serves for ever goes to the background and ends with the script."""
    text = "\n".join(SHELL)
    assert len(SERVE.findall(text)) == 1
    text = SERVE.sub(
        lambda found: (
            f"{found[0]} --dashboards 127.0.0.1:0 --store chdb://./data > up.log 2>&1 &\n"
            "trap 'kill %1; wait %1' EXIT\n"
            "for _ in $(seq 600); do grep -q 'Ctrl+C stops it' up.log && break; kill -0 %1; sleep 0.1; done"
        ),
        text,
    )
    text = text.replace("0.0.0.0:4318", f"127.0.0.1:{http}").replace("0.0.0.0:4317", f"127.0.0.1:{grpc}")
    return "set -euo pipefail\n" + text.replace("localhost:4318", f"localhost:{http}")


def test_every_shell_block_runs(tmp_path: Path) -> None:
    Authority(tmp_path).issue("collector")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FAASIGHT_", "OTEL_"))}
    clean["PATH"] = f"{Path(sys.executable).parent}:{clean['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script(*free_ports(2))],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "up.log").read_text()
    kept = {token.name: token for token in tokens.read(tmp_path / "faasight-tokens.json")}
    assert set(kept) == {"checkout-2", "batch-jobs", "prometheus"}
    assert (kept["batch-jobs"].requests_per_s, kept["batch-jobs"].bytes_per_s) == (200, 10 * 2**20)
    assert kept["prometheus"].use == "metrics"
    for name in kept:
        secret = (tmp_path / f"{name}.token").read_text().strip()
        assert tokens.digest(secret.encode()) == kept[name].digest
    assert "checkout-2" in done.stdout, "they are listed"


@pytest.mark.parametrize("text", YAML)
def test_every_yaml_block_is_read(text: str) -> None:
    document = yaml.safe_load(text)
    assert set(document) in ({"scrape_configs"}, {"services"})
    for name in document.get("services", {}).get("collector", {}).get("environment", {}):
        assert name in {row.env for row in settings.TABLE}


def test_every_setting_that_it_names_is_one() -> None:
    known = {row.env for row in settings.TABLE} | {"FAASIGHT_ENDPOINT", "FAASIGHT_TOKEN"}
    assert set(re.findall(r"\bFAASIGHT_[A-Z_]+\b", PAGE)) <= known
