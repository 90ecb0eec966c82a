"""The settings table: complete, documented, and clear about a wrong value."""

from dataclasses import fields
from pathlib import Path

import pytest
from faasight_cli import services, settings
from faasight_cli.errors import SettingError
from faasight_cli.settings import Address, Settings

ROOT = Path(__file__).parents[2]


def test_each_row_has_its_field_and_each_field_its_row() -> None:
    assert [row.name for row in settings.TABLE] == list(dict.fromkeys(row.name for row in settings.TABLE))
    assert {row.name for row in settings.TABLE} == {field.name for field in fields(Settings)}


def test_the_defaults_are_allowed_and_as_documented() -> None:
    own = settings.load({})
    assert own.store == "chdb://./faasight-data"
    assert own.collector_http == Address("127.0.0.1", 4318)
    assert own.collector_grpc == Address("127.0.0.1", 4317)
    assert own.dashboards == Address("127.0.0.1", 8050)
    assert own.journal is None
    assert own.allow_remote is False


def test_the_page_has_the_table() -> None:
    assert settings.table() in (ROOT / "docs" / "configuration.md").read_text()


def test_options_win_over_the_environment() -> None:
    own = settings.load({"FAASIGHT_LOG_LEVEL": "debug", "FAASIGHT_RANGE": "now-1h"}, {"log_level": "error"})
    assert (own.log_level, own.range) == ("error", "now-1h")


def test_values_are_read() -> None:
    own = settings.load(
        {
            "FAASIGHT_STORE": " clickhouse://me:secret@db:8123/faasight ",
            "FAASIGHT_COLLECTOR_HTTP": "[::1]:0",
            "FAASIGHT_COLLECTOR_GRPC": "off",
            "FAASIGHT_ALLOW_REMOTE": "Yes",
            "FAASIGHT_JOURNAL": "/var/lib/journal",
            "FAASIGHT_URL": "https://faasight.example.com/",
        }
    )
    assert own.store == "clickhouse://me:secret@db:8123/faasight"
    assert own.collector_http == Address("::1", 0)
    assert str(own.collector_http) == "[::1]:0"
    assert own.collector_grpc is None
    assert own.allow_remote is True
    assert own.journal == Path("/var/lib/journal")
    assert own.url == "https://faasight.example.com"


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ("FAASIGHT_STORE", "mysql://x"),
        ("FAASIGHT_STORE", ""),
        ("FAASIGHT_COLLECTOR_HTTP", "4318"),
        ("FAASIGHT_COLLECTOR_HTTP", "127.0.0.1:"),
        ("FAASIGHT_COLLECTOR_GRPC", "127.0.0.1:65536"),
        ("FAASIGHT_DASHBOARDS", "127.0.0.1:eighty"),
        ("FAASIGHT_ALLOW_REMOTE", "maybe"),
        ("FAASIGHT_JOURNAL_BUDGET_MB", "-1"),
        ("FAASIGHT_JOURNAL_BUDGET_MB", "lots"),
        ("FAASIGHT_MAX_BODY_MB", "1025"),
        ("FAASIGHT_URL", "faasight.example.com"),
        ("FAASIGHT_RANGE", "yesterday"),
        ("FAASIGHT_CORS_ORIGINS", "*"),
        ("FAASIGHT_CORS_ORIGINS", "https://app.example.com/path"),
        ("FAASIGHT_MAX_CONNECTIONS", "-1"),
        ("FAASIGHT_TOKEN_REQUESTS_PER_S", "many"),
        ("FAASIGHT_REFRESH_S", "1.5"),
        ("FAASIGHT_LOG_LEVEL", "loud"),
        ("FAASIGHT_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(env: str, value: str) -> None:
    allowed = next(row.kind.allowed for row in settings.TABLE if row.env == env)
    with pytest.raises(SettingError) as caught:
        settings.load({env: value})
    assert env in str(caught.value)
    assert repr(value) in str(caught.value)
    assert allowed in str(caught.value)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingError) as caught:
        settings.load({"FAASIGHT_SLACK_WEBHOOK": "hooks.slack.example/T1/B1/abcdef"})
    assert "abcdef" not in str(caught.value)
    assert "FAASIGHT_SLACK_WEBHOOK" in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["clickhosue://me:secret@db/faasight", "clickhouse://me:sec ret@db", "me:secret@db:8123", "http//a:secret@b@c"],
)
def test_the_password_of_a_wrong_address_is_not_shown(address: str) -> None:
    for name in ("FAASIGHT_STORE", "FAASIGHT_URL"):
        with pytest.raises(SettingError) as caught:
            settings.load({name: address})
        assert name in str(caught.value)
        assert "ret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://:80", "https://[::1", "https://host:99999/", "https://h/\u00e9", "https://h/a b"]
)
def test_an_address_that_nobody_can_connect_to_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingError, match="FAASIGHT_SLACK_WEBHOOK"):
        settings.load({"FAASIGHT_SLACK_WEBHOOK": url})


def test_the_doors_of_the_collector_have_hosts_of_their_own() -> None:
    own = services.collector_settings(settings.load({"FAASIGHT_COLLECTOR_HTTP": "0.0.0.0:4318"}))
    assert (own.host, own.grpc_host) == ("0.0.0.0", "127.0.0.1")


def test_places_for_connections_are_planned_for_what_they_cost() -> None:
    def places(**environ: str) -> int:
        return services.collector_settings(settings.load(environ)).max_connections

    files = {"FAASIGHT_TLS_CERTIFICATE": "a.pem", "FAASIGHT_TLS_KEY": "a.key"}
    assert places() == 10_000
    assert places(**files) == 4_000
    assert places(**files, FAASIGHT_MAX_CONNECTIONS="7") == 7


@pytest.mark.parametrize("given", [{"CERTIFICATE"}, {"KEY"}, {"CLIENT_CA"}, {"KEY", "CLIENT_CA"}])
def test_half_a_certificate_is_refused(given: set[str]) -> None:
    with pytest.raises(SettingError, match="FAASIGHT_TLS_CERTIFICATE and FAASIGHT_TLS_KEY"):
        settings.load({f"FAASIGHT_TLS_{name}": "x.pem" for name in given})


def test_names_that_are_no_settings_are_found() -> None:
    environ = {"FAASIGHT_STORE": "x", "FAASIGHT_STORES": "x", "FAASIGHT_ENDPOINT": "x", "HOME": "x"}
    assert settings.unknown(environ) == ["FAASIGHT_STORES"]
