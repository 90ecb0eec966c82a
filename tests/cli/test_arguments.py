"""The command line: help for all, options that are settings, and clear refusals."""

import pytest
from faasight_cli import settings
from faasight_cli.arguments import build_parser
from faasight_cli.main import main

COMMANDS = [
    "up",
    "demo",
    "collector",
    "dashboards",
    "alerts",
    "migrate",
    "store",
    "doctor",
    "settings",
    "version",
    "local",
    "tokens",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"faasight {command}" in capsys.readouterr().out


def test_every_setting_but_the_secret_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    for row in settings.TABLE:
        assert (f"--{row.name.replace('_', '-')} " in words) is (row.name != "slack_webhook"), row.name


def test_options_become_overrides_and_nothing_else() -> None:
    chosen = build_parser().parse_args(["up", "--log-level", "debug", "--store", "chdb:///x"])
    assert chosen.overrides == {"log_level": "debug", "store": "chdb:///x"}
    assert build_parser().parse_args(["up"]).overrides == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--gateway-port", "70000"], "0 to 65535"),
        (["demo", "--rate", "0"], "above 0"),
        (["demo", "--seconds", "nan"], "above 0"),
        (["local", "start", "t.yaml", "--env", "NAME"], "NAME=VALUE"),
        (["nonsense"], "choose from"),
        ([], "COMMAND"),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_right(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_the_version_names_us_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("faasight-platform    0.1.0\nfaasight             0.1.0\n")


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    out = capsys.readouterr().out
    assert all(row.env in out and row.meaning in out for row in settings.TABLE)


def test_a_wrong_setting_is_one_sentence_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAASIGHT_LOG_LEVEL", "loud")
    assert main(["up"]) == 1
    assert (
        capsys.readouterr().err == "faasight: FAASIGHT_LOG_LEVEL is 'loud'; allowed is debug, info, warning or error\n"
    )
