"""Each Python block of docs/google-cloud.md and docs/azure.md runs under its host; the rest is read."""

import re
import subprocess
from pathlib import Path
from typing import Any

import azure_host
import google_host
import pytest
from faasight.settings import TABLE
from polling import wait_until

DOCS = Path(__file__).parents[2] / "docs"
GOOGLE, AZURE = (DOCS / "google-cloud.md").read_text(), (DOCS / "azure.md").read_text()
LANGUAGES = {"python", "sh", "text"}
EVENTS = {  # what a trigger's parameter is sent as
    "httpTrigger": {"http": {"method": "GET", "url": "https://my-app.azurewebsites.net/api/orders/7"}},
    "queueTrigger": {"string": "secret"},
    "timerTrigger": {"json": '{"IsPastDue": false}'},
}


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert {name for name, _ in found} == LANGUAGES
    return [code for name, code in found if name == language]


@pytest.mark.parametrize("code", blocks(GOOGLE, "python"), ids=lambda code: re.findall(r"def (\w+)", code)[0])
def test_google(code: str, sink: Any, tmp_path: Path) -> None:
    google_host.need(google_host.HOST)
    (target,) = re.findall(r"def (\w+)", code)
    framework = google_host.Framework(tmp_path, code, target, {"FAASIGHT_ENDPOINT": sink.endpoint, "K_SERVICE": target})
    try:
        wait_until(framework.listens, "the framework listens")
        storage = "//storage.googleapis.com/projects/_/buckets/uploads"
        answer = (
            framework.event("google.cloud.storage.object.v1.finalized", storage, {"bucket": "uploads", "name": "a"})
            if "cloud_event" in code
            else framework.call()
        )
        assert answer.status < 300, framework.output()
        (span,) = sink.wait()
        assert span.resource["faas.name"] == target
        assert "faasight:" not in framework.output()
    finally:
        framework.close()


APPLICATIONS = [code for code in blocks(AZURE, "python") if "def " in code]


@pytest.mark.parametrize("code", APPLICATIONS, ids=lambda code: re.findall(r"def (\w+)", code)[0])
def test_azure(code: str, sink: Any, tmp_path: Path) -> None:
    google_host.need(azure_host.HOST)
    environment = {
        "FAASIGHT_ENDPOINT": sink.endpoint,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_SITE_NAME": "my-app",
    }
    host = azure_host.AzureHost(tmp_path, code, environment)
    try:
        assert host.load().status == host.protos.StatusResult.Success, host.output()
        assert set(host.functions) == set(re.findall(r"def (\w+)", code))
        for name, metadata in host.functions.items():
            (binding,) = [found for found in metadata.bindings.values() if found.type.endswith("Trigger")]
            assert host.call(name, EVENTS[binding.type]).result.status == 1, host.output()
        spans = sink.wait(len(host.functions))
        assert {span.resource["faas.name"] for span in spans} == {f"my-app/{name}" for name in host.functions}
        assert "faasight:" not in host.output()
    finally:
        host.close()


@pytest.mark.parametrize("command", [*blocks(GOOGLE, "sh"), *blocks(AZURE, "sh")], ids=lambda code: code.split()[0])
def test_commands_are_whole(command: str) -> None:
    subprocess.run(["sh", "-n", "-c", command], check=True)


def test_the_file_beside_an_application(sink: Any, tmp_path: Path) -> None:
    """The page's second file, before the page's first application."""
    google_host.need(azure_host.HOST)
    (beside,) = (code for code in blocks(AZURE, "python") if "def " not in code)
    (tmp_path / "faasight_app.py").write_text(beside)
    environment = {
        "FAASIGHT_ENDPOINT": sink.endpoint,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "PYTHON_SCRIPT_FILE_NAME": "faasight_app.py",
    }
    host = azure_host.AzureHost(
        tmp_path, APPLICATIONS[0].replace("import faasight.auto", "import faasight"), environment
    )
    try:
        assert host.load().status == host.protos.StatusResult.Success, host.output()
        assert host.call("orders", EVENTS["httpTrigger"]).result.status == 1, host.output()
        assert [span.name for span in sink.wait()] == ["GET /api/orders/{id}"]
    finally:
        host.close()


def test_gcloud_is_told_of_variables_in_one_way() -> None:
    """It refuses `--set-env-vars` beside `--update-env-vars`, and the later of two alike would be read differently."""
    commands = [code for code in blocks(GOOGLE, "sh") if "gcloud functions deploy" in code]
    assert [len(re.findall(r"--(?:set|update)-env-vars", code)) for code in commands] == [1, 1]


def test_settings_that_the_pages_name_are_the_wrappers() -> None:
    known = {row.env for row in TABLE}
    named = set(re.findall(r"\b(FAASIGHT_\w+|OTEL_\w+)", GOOGLE + AZURE))
    assert named
    assert named <= known


def test_requirements_name_the_host_and_the_wrapper() -> None:
    assert blocks(GOOGLE, "text") == ["functions-framework==3.*\nfaasight\n"]
    assert blocks(AZURE, "text") == ["azure-functions\nfaasight\n"]
