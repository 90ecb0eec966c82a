"""The wrapper's table of settings."""

import pytest
from faasight.complain import complaints
from faasight.hooks import WAITS_FOR
from faasight.settings import TABLE, Settings


def test_each_row_is_an_attribute_and_the_other_way_round() -> None:
    """The table and the typed class cannot drift apart."""
    assert [row.name for row in TABLE] == list(Settings.__annotations__)
    assert len({row.env for row in TABLE}) == len(TABLE)
    assert all(row.meaning for row in TABLE)


def test_defaults() -> None:
    settings = Settings({})
    assert settings.endpoint == "http://127.0.0.1:4318"
    assert settings.flush_timeout == 0.2
    assert settings.disabled is False
    assert set(settings.hooks) == set(WAITS_FOR), "all that there is"


def test_values_are_read_by_their_kind() -> None:
    settings = Settings(
        {
            "FAASIGHT_DISABLED": "TRUE",
            "FAASIGHT_ENDPOINT": "https://[::1]:4318/otlp/",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc, x-tenant=a",
            "FAASIGHT_LOG_LEVEL": "warn",
            "FAASIGHT_PEER_SERVICES": "127.0.0.1:4010=payment-provider",
        }
    )
    assert settings.disabled is True
    assert settings.endpoint == "https://[::1]:4318/otlp"
    assert settings.headers == {"authorization": "Bearer abc", "x-tenant": "a"}
    assert settings.log_level == "WARNING"
    assert settings.peer_services == {"127.0.0.1:4010": "payment-provider"}


def test_the_standard_endpoint_is_the_second_choice() -> None:
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1"}
    assert Settings(standard).endpoint == "http://a:1"
    assert Settings({**standard, "FAASIGHT_ENDPOINT": "http://b:2"}).endpoint == "http://b:2"


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("FAASIGHT_ENDPOINT", "collector:4318", "endpoint"),
        ("FAASIGHT_ENDPOINT", "http://", "endpoint"),
        ("FAASIGHT_ENDPOINT", "http://h:99999", "endpoint"),
        ("FAASIGHT_FLUSH_TIMEOUT", "soon", "flush_timeout"),
        ("FAASIGHT_FLUSH_TIMEOUT", "-1", "flush_timeout"),
        ("FAASIGHT_FLUSH_TIMEOUT", "nan", "flush_timeout"),
        ("FAASIGHT_DISABLED", "maybe", "disabled"),
        ("OTEL_RESOURCE_ATTRIBUTES", "novalue", "resource_attributes"),
        ("FAASIGHT_LOGS", "xml", "logs"),
        ("FAASIGHT_LOG_LEVEL", "LOUD", "log_level"),
        ("FAASIGHT_BUFFER_BYTES", "inf", "buffer_bytes"),
    ],
)
def test_a_wrong_value_falls_back_with_a_line(
    variable: str, value: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    settings = Settings({variable: value})
    assert getattr(settings, name) == getattr(Settings({}), name)
    (line,) = capsys.readouterr().err.splitlines()
    assert variable in line
    assert repr(value) in line


@pytest.mark.parametrize(
    ("env", "value"),
    [
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key s3cret"),
        ("FAASIGHT_ENDPOINT", "https://user:s3cret@collector:4318"),
    ],
)
def test_a_warning_shows_no_secret(
    env: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "_next", 0.0)
    Settings({env: value})
    said = capsys.readouterr().err
    assert env in said
    assert "s3cret" not in said


def test_a_token_becomes_a_header_unless_one_is_given() -> None:
    settings = Settings({"FAASIGHT_TOKEN": "abc", "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a"})
    assert settings.headers == {"x-tenant": "a", "authorization": "Bearer abc"}
    given = Settings({"FAASIGHT_TOKEN": "abc", "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20xyz"})
    assert given.headers == {"Authorization": "Basic xyz"}
