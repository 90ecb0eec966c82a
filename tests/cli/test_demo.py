"""`faasight demo` where it cannot run; journeys/ have it run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ports import free_ports

SHOP = Path(__file__).parents[2] / "examples" / "shop"


def any_port() -> list[str]:
    """Return options for ports of the demo's own, which are free now."""
    names = ("--gateway-port", "--provider-port", "--carrier-port")
    return [word for name, port in zip(names, free_ports(3), strict=True) for word in (name, str(port))]


def test_a_process_that_cannot_start_ends_the_demo_with_its_last_words(
    faasight: Callable[..., Any], any_ports: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "alerts.yaml").write_text((SHOP / "alerts.yaml").read_text())
    (tmp_path / "provider.py").write_text((SHOP / "provider.py").read_text())
    demo = faasight("demo", "--shop", str(tmp_path), *any_port(), folder=tmp_path, env=any_ports)
    assert demo.ended() == 1
    assert "functions ended with status 1" in demo.said()
    assert "is no parameter 'PaymentProviderUrl'" in demo.said()
    assert "Traceback" not in demo.said()


def test_a_folder_without_a_shop_is_told(faasight: Callable[..., Any], tmp_path: Path) -> None:
    demo = faasight("demo", "--shop", str(tmp_path))
    assert demo.ended() == 1
    assert "--shop" in demo.said()


def test_tokens_and_certificates_are_refused_in_one_sentence(faasight: Callable[..., Any], tmp_path: Path) -> None:
    """Its functions have none; to pass over what was asked for would be no better."""
    said = {"FAASIGHT_TOKENS": "tokens.json", "FAASIGHT_TLS_CERTIFICATE": "c.pem", "FAASIGHT_TLS_KEY": "k.pem"}
    demo = faasight("demo", "--shop", str(SHOP), folder=tmp_path, env=said)
    assert demo.ended() == 1
    names = "-u FAASIGHT_TOKENS -u FAASIGHT_TLS_CERTIFICATE -u FAASIGHT_TLS_KEY"
    assert f"`env {names} faasight demo`" in demo.said()
    assert "Traceback" not in demo.said()
