"""Dockerfile and docker-compose.yml: what can be checked of them without an engine to run them."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from faasight_cli import healthy
from faasight_cli.arguments import build_parser
from faasight_cli.settings import TABLE, load

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "collector", "dashboards", "alerts")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETTINGS = {row.env for row in TABLE}
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def instructions(name: str) -> list[str]:
    """Return the arguments of each instruction of that name, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return [line.split(maxsplit=1)[1] for line in joined.splitlines() if line.startswith(f"{name} ")]


def environment(service: str, **given: str) -> dict[str, str]:
    """Return a service's environment as compose makes it, with `given` in .env; what is missing must have a default."""

    def fill(found: re.Match[str]) -> str:
        name, operator, text = found.groups()
        if name in given:
            return given[name]
        assert operator == ":-", f"{name} must be given"
        return text or ""

    return {name: VARIABLE.sub(fill, str(value)) for name, value in SERVICES[service].get("environment", {}).items()}


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.cluster.yml"])
def test_the_files_are_valid_by_the_compose_specification(file: str, tmp_path: Path) -> None:
    """Its schema knows every key, and refuses one that is misspelt or in the wrong place."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    good, seen = (ROOT / file).read_text(encoding="utf-8"), tmp_path / "docker-compose.yml"
    for text, status in ((good, 0), (good.replace("read_only: true", "readonly: true"), 1)):
        seen.write_text(text, encoding="utf-8")
        checked = subprocess.run([*command, str(seen)], capture_output=True, text=True, timeout=120, check=False)
        assert checked.returncode == status, checked.stdout + checked.stderr


def test_the_services_are_there_and_start_in_order() -> None:
    assert set(SERVICES) == {"clickhouse", *OURS}
    assert SERVICES["migrate"]["depends_on"] == {"clickhouse": {"condition": "service_healthy"}}
    for name in ("collector", "dashboards", "alerts"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_image_is_pinned_to_a_release() -> None:
    assert re.fullmatch(r"clickhouse/clickhouse-server:\d+\.\d+\.\d+\.\d+", SERVICES["clickhouse"]["image"])
    version = PROJECT["project"]["version"]
    assert {SERVICES[name]["image"] for name in OURS} == {f"faasight-platform:{version}"}
    python = dict(argument.split("=") for argument in instructions("ARG"))["PYTHON"]
    assert re.fullmatch(r"\d+\.\d+\.\d+-slim-\w+", python)
    assert set(instructions("FROM")) == {"python:${PYTHON} AS build", "python:${PYTHON}"}
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, python.split("-")[0].split("."))) >= tuple(map(int, least.split(".")))


def test_what_runs_on_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        check = service["healthcheck"]
        if name == "migrate":
            assert check == {"disable": True}
        else:
            assert check["test"][0] in {"CMD", "CMD-SHELL"}
            assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert len(instructions("HEALTHCHECK")) == 1


def test_the_collectors_health_check_knows_its_settings() -> None:
    (of_image,) = instructions("HEALTHCHECK")
    command = SERVICES["collector"]["healthcheck"]["test"]
    assert command == ["CMD", "python", "-m", "faasight_cli.healthy"]
    assert json.dumps(command[1:]) in of_image
    port = environment("collector", CLICKHOUSE_PASSWORD="pw")["FAASIGHT_COLLECTOR_HTTP"].rpartition(":")[2]
    told = healthy.verdict({"FAASIGHT_COLLECTOR_HTTP": f"127.0.0.1:{port}", "FAASIGHT_TLS_CERTIFICATE": "x"})
    assert told == "" or told.startswith(f"https://127.0.0.1:{port}/readyz ")


def test_the_dashboards_health_check_is_python_that_compiles_and_asks_the_port_that_is_listened_on() -> None:
    name = "dashboards"
    *_, flag, code = SERVICES[name]["healthcheck"]["test"]
    assert flag == "-c"
    compile(code, name, "exec")
    listens = environment(name, CLICKHOUSE_PASSWORD="pw")["FAASIGHT_DASHBOARDS"]
    assert f"127.0.0.1:{listens.rpartition(':')[2]}/" in code


def test_every_variable_is_a_setting() -> None:
    in_image = re.findall(r"\b(FAASIGHT_\w+)=", DOCKERFILE)
    assert in_image
    assert set(in_image) <= SETTINGS
    for name in OURS:
        ours = {variable for variable in SERVICES[name]["environment"] if variable.startswith("FAASIGHT_")}
        assert ours <= SETTINGS
        assert "FAASIGHT_STORE" in ours


@pytest.mark.parametrize("name", OURS)
def test_every_value_is_one_that_the_settings_take(name: str) -> None:
    """With nothing in .env but the password that the file asks for."""
    settings = load(environment(name, CLICKHOUSE_PASSWORD="a1b2c3"))
    assert settings.store == "clickhouse://faasight:a1b2c3@clickhouse:8123/faasight"
    assert settings.allow_remote
    if name == "collector":
        assert (settings.collector_http.host, settings.collector_grpc and settings.collector_grpc.port) == (
            "0.0.0.0",
            4317,
        )


def test_the_image_alone_has_settings_that_are_taken() -> None:
    found = dict(re.findall(r"\b(FAASIGHT_\w+)=(\S+)", DOCKERFILE))
    settings = load(found)
    assert settings.store == "chdb:///var/lib/faasight/data"
    for folder in (settings.journal, Path("/var/lib/faasight/data")):
        assert f" {folder}" in next(run for run in instructions("RUN") if "install --directory" in run)


def test_no_password_and_no_webhook_stands_in_the_files() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if variable.endswith(("PASSWORD", "WEBHOOK", "STORE")):
                assert VARIABLE.search(value), f"{name}: {variable} must come from the environment"
    with pytest.raises(AssertionError, match="CLICKHOUSE_PASSWORD must be given"):
        environment("collector")


def test_ports_are_published_on_this_machine_alone_and_the_database_not_at_all() -> None:
    assert "ports" not in SERVICES["clickhouse"]
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert sorted(published) == ["127.0.0.1:4317:4317", "127.0.0.1:4318:4318", "127.0.0.1:8050:8050"]
    exposed = {int(port) for port in instructions("EXPOSE")[0].split()}
    assert exposed == {int(port.rpartition(":")[2]) for port in published}


def test_the_commands_are_those_of_the_command_line() -> None:
    assert instructions("ENTRYPOINT") == ['["faasight"]']
    for command in (["up"], *(SERVICES[name]["command"] for name in OURS)):
        assert build_parser().parse_args(command).command == command[0]
    assert PROJECT["project"]["scripts"]["faasight"]


def test_every_package_is_copied_into_the_image_and_let_through() -> None:
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {shlex.split(line)[0].rstrip("/") for line in instructions("COPY") if not line.startswith("--from")}
    assert set(packages) | {"instrumentation"} <= copied
    allowed = [
        line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    sources = [
        source for line in instructions("COPY") if not line.startswith("--from") for source in shlex.split(line)[:-1]
    ]
    for source in sources:
        assert (ROOT / source).exists(), f"the Dockerfile copies {source}, which is not here"
        assert any(source.rstrip("/").split("/")[0] == top for top in allowed), f".dockerignore keeps out {source}"


def test_the_parts_run_as_nobody_in_particular_on_a_file_system_they_cannot_change() -> None:
    assert instructions("USER") == ["10001:10001"]
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]


def test_what_must_last_is_on_volumes() -> None:
    volumes = {
        mount.split(":")[0]: mount.split(":")[1] for name in SERVICES for mount in SERVICES[name].get("volumes", [])
    }
    assert set(volumes) == set(COMPOSE["volumes"])
    assert volumes["clickhouse-data"] == "/var/lib/clickhouse"
    assert volumes["journal"] == environment("collector", CLICKHOUSE_PASSWORD="pw")["FAASIGHT_JOURNAL"]


def test_versions_come_from_the_constraints() -> None:
    installs = [line for line in instructions("RUN") if "pip install" in line]
    assert installs
    assert all(line.count("pip install") == line.count("--constraint constraints.txt") for line in installs)
