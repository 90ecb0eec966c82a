"""Where it may listen: on this machine, or anywhere if senders are asked who they are."""

import contextlib
import ipaddress

import structlog

from faasight_collector.errors import AddressError
from faasight_collector.settings import Settings

log = structlog.get_logger()


def check_hosts(settings: Settings) -> None:
    """Refuse to listen beyond this machine where nobody is asked who they are. Raises AddressError."""
    hosts = [settings.host, *([settings.grpc_host] if settings.grpc_port is not None else [])]
    beyond = next((host for host in hosts if not is_loopback(host)), None)
    if beyond is None or settings.allow_remote:
        return
    if settings.tokens is None and not (settings.tls and settings.tls.client_ca):
        raise AddressError(
            f"The collector would listen on {beyond!r}, where other machines can send to it without being asked who"
            " they are: make a token (export FAASIGHT_TOKENS=faasight-tokens.json; faasight tokens create NAME), or"
            " listen on 127.0.0.1, or set FAASIGHT_ALLOW_REMOTE=yes if a network of your own or a proxy guards it."
        )


def warn_of_plain_text(settings: Settings) -> None:
    """Say so where tokens and telemetry could be read on their way."""
    if settings.tls is None and settings.tokens is not None and not is_loopback(settings.host):
        log.warning(
            "tokens and telemetry travel in the clear: set FAASIGHT_TLS_CERTIFICATE and FAASIGHT_TLS_KEY,"
            " or put a proxy with TLS before the collector",
            host=settings.host,
        )


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
