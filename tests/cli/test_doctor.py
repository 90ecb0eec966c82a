"""`faasight doctor` finds what is wrong, says what to type, and shows it in its exit status."""

import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faasight_cli import doctor, settings
from faasight_cli.doctor import NOTE, PROBLEM, Finding
from faasight_collector.access import tokens

from tests.support.certificates import Authority

EVERYTHING_FREE = {"collector_http": "127.0.0.1:0", "collector_grpc": "127.0.0.1:0", "dashboards": "127.0.0.1:0"}


@pytest.fixture
def free(tmp_path: Path) -> dict[str, str]:
    """Give overrides with free ports and a folder of their own."""
    return {**EVERYTHING_FREE, "store": f"chdb://{tmp_path / 'data'}"}


def problems(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state == PROBLEM]


def test_a_good_machine_has_no_problems(free: dict[str, str]) -> None:
    findings = list(doctor.examine({}, free))
    assert problems(findings) == []
    assert [finding.what for finding in findings if finding.state == NOTE and "collector" in finding.what]
    assert any("is new" in finding.what for finding in findings)
    assert not Path(free["store"].removeprefix("chdb://")).exists(), "looking must not make the folder"


def test_a_port_in_use_is_a_problem_with_another_to_type(free: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        (found,) = problems(list(doctor.examine({}, {**free, "dashboards": place})))
    assert place in found.what
    assert "--dashboards" in found.advice


def test_a_wrong_setting_is_a_problem(free: dict[str, str]) -> None:
    (found,) = problems(list(doctor.examine({"FAASIGHT_LOG_LEVEL": "loud"}, free)))
    assert "FAASIGHT_LOG_LEVEL" in found.what


@pytest.mark.parametrize("dsn", ["chdb://?x=1", "clickhouse://me:hidden@host:port/x", "clickhouse:///x"])
def test_a_bad_address_of_the_store_is_a_problem(free: dict[str, str], dsn: str) -> None:
    (found,) = problems(list(doctor.examine({}, {**free, "store": dsn})))
    assert "FAASIGHT_STORE" in found.what
    assert "hidden" not in found.what + found.advice


def test_a_server_that_does_not_answer_is_a_problem(free: dict[str, str], tmp_path: Path) -> None:
    dsn = "clickhouse://me:hidden@127.0.0.1:1/x"
    (found,) = problems(list(doctor.examine({}, {**free, "store": dsn, "journal": str(tmp_path)})))
    assert "127.0.0.1:1" in found.what
    assert "hidden" not in found.what + found.advice


def test_a_name_that_is_no_setting_is_noted(free: dict[str, str]) -> None:
    findings = list(doctor.examine({"FAASIGHT_STROE": "x", "FAASIGHT_ENDPOINT": "http://127.0.0.1:4318"}, free))
    assert [finding.what for finding in findings if finding.state == NOTE and "FAASIGHT" in finding.what] == [
        "no such setting: FAASIGHT_STROE"
    ]


def test_a_full_disk_is_a_problem(free: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = doctor.shutil.disk_usage("/")._replace(free=100 * 1024 * 1024)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    found = problems(list(doctor.examine({}, free)))
    assert [finding.what for finding in found if "only 100 MB" in finding.what]


def test_a_file_in_place_of_the_folder_is_a_problem(free: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert any(str(tmp_path / "data") in found.what for found in problems(list(doctor.examine({}, free))))


def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor.metadata, "requires", lambda _: ["boto3>=1", "nothing-like-it[x]>=2; extra == 'dev'", "absent>=1"]
    )
    assert list(doctor._packages()) == [Finding(PROBLEM, "packages are missing: absent", "pip install absent")]


def test_what_runs_is_not_taken_for_a_problem(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    up = faasight("up", folder=tmp_path, env=any_ports)
    up.wait_for("Ctrl+C stops it")
    places = {name: up.url(name).removeprefix("http://") for name in ("dashboards", "collector")}
    asked = ("--dashboards", places["dashboards"], "--collector-http", places["collector"], "--collector-grpc", "off")
    looked = faasight("doctor", *asked, "--store", f"chdb://{tmp_path / 'faasight-data'}")
    assert looked.ended() == 0, looked.said()
    assert "is in use by the FaaSight that is running" in looked.said()
    assert looked.said().count("in use; FaaSight is running") == 2
    elsewhere = faasight("doctor", "--store", f"chdb://{tmp_path / 'faasight-data'}", env=any_ports)
    assert elsewhere.ended() == 1, "another program has the folder, for all that doctor can know"
    assert "choose another with --store" in elsewhere.said()
    up.process.send_signal(signal.SIGINT)
    assert up.ended() == 0
    after = faasight("doctor", "--store", f"chdb://{tmp_path / 'faasight-data'}", env=any_ports)
    assert after.ended() == 0, after.said()
    assert "can be opened" in after.said()


def test_a_schema_that_is_behind_is_noted_and_left_alone(free: dict[str, str], embedded_dsn: str) -> None:
    for _ in range(2):
        findings = list(doctor.examine({}, {**free, "store": embedded_dsn}))
        assert problems(findings) == []
        (found,) = [finding for finding in findings if "schema lacks" in finding.what]
        assert "0001_" in found.what
        assert "faasight migrate" in found.advice


def test_the_token_file_and_the_certificate_are_looked_at(free: dict[str, str], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    good, soon, over = (authority.issue(f"of-{days}", days=days) for days in (90, 7, -1))
    file = tmp_path / "tokens.json"
    access = {**free, "tokens": str(file), "tls_certificate": str(good.certificate), "tls_key": str(good.key)}
    (missing,) = problems(list(doctor.examine({}, access)))
    assert "There is no token file" in missing.what
    tokens.write(file, ())
    (nobody,) = problems(list(doctor.examine({}, access)))
    assert "0 valid tokens" in nobody.what
    tokens.write(file, (tokens.Token(name="a", digest=tokens.digest(b"x"), created=datetime.now(UTC)),))
    findings = list(doctor.examine({}, access))
    assert problems(findings) == []
    assert any("valid for 89 more days" in finding.what for finding in findings)
    for pair, state in ((soon, NOTE), (over, PROBLEM)):
        found = doctor.examine({}, {**access, "tls_certificate": str(pair.certificate), "tls_key": str(pair.key)})
        assert [finding.state for finding in found if "more days" in finding.what] == [state]
    (mixed,) = problems(list(doctor.examine({}, {**access, "tls_key": str(soon.key)})))
    assert "belong together" in mixed.what


def test_listening_beyond_this_machine_without_a_token_is_a_problem(free: dict[str, str]) -> None:
    (found,) = problems(list(doctor.examine({}, {**free, "collector_http": "0.0.0.0:0"})))
    assert "faasight tokens create" in found.what + found.advice


def test_more_memory_for_the_store_than_there_is_is_a_problem(
    free: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = tmp_path / "memory.max"
    monkeypatch.setattr(doctor, "_CGROUP_MEMORY", group)

    def look(memory_mb: str) -> Finding:
        return next(doctor._memory(settings.load({"FAASIGHT_STORE_MEMORY_MB": memory_mb}, free)))

    group.write_text(str(2048 * 1024 * 1024))
    found = look("2000")
    assert (found.state, "2,048 MiB" in found.what) == (PROBLEM, True)
    assert "FAASIGHT_STORE_MEMORY_MB=1536" in found.advice
    assert look("1536").state == doctor.OK
    assert "2,048 MiB" in look("0").what
    group.write_text("max\n")
    assert "2,048 MiB" not in look("0").what
