"""What a machine without the tests' helpers is told: one sentence, which fails the run in CI alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CHROMIUM = (TESTS / "chromium.sh", "The browser tests need Chromium, and are skipped without it. Install it, for exa")
NPM = (TESTS / "collector" / "js" / "install.sh", "Without Node.js and npm the tests with OpenTelemetry's JavaScript")


def run(folder: Path, script: Path, user: int, ci: str, **commands: str) -> subprocess.CompletedProcess[str]:
    """Run a script on a machine that has these commands alone, as a user."""
    (folder / "dirname").symlink_to(shutil.which("dirname") or "")
    for name, text in {"id": f"echo {user}", **commands}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environ = {"PATH": str(folder), "CI": ci}
    return subprocess.run(["/bin/sh", str(script)], env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ci", ["", "true"])
@pytest.mark.parametrize(
    ("user", "commands"),
    [(1000, {"apt-get": "exit 9"}), (0, {}), (0, {"apt-get": "exit 1"})],
    ids=["no rights", "no apt", "apt reaches nothing"],
)
@pytest.mark.parametrize(("script", "sentence"), [CHROMIUM, NPM], ids=["chromium", "npm"])
def test_what_cannot_be_installed_is_said(
    tmp_path: Path, script: Path, sentence: str, user: int, commands: dict[str, str], ci: str
) -> None:
    done = run(tmp_path, script, user, ci, **commands)
    assert done.returncode == (1 if ci else 0), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(sentence)


def test_a_root_has_chromium_installed(tmp_path: Path) -> None:
    install = f'[ "$1" = update ] || {{ echo "#!/bin/sh" > {tmp_path}/chromium; /bin/chmod +x {tmp_path}/chromium; }}'
    done = run(tmp_path, CHROMIUM[0], 0, "true", **{"apt-get": install})
    assert (done.returncode, done.stderr) == (0, "")


def test_without_npm_the_full_bundle_serves(tmp_path: Path) -> None:
    """`make assets` needs nothing."""
    copy = tmp_path / "dashboards"
    copy.mkdir()
    shutil.copy(TESTS.parent / "dashboards" / "assets.sh", copy)
    done = run(tmp_path, copy / "assets.sh", os.getuid(), "true")
    assert (done.returncode, done.stderr) == (0, "")
