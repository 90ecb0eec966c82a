"""Finds out which ports are in use or free before anything is started, so that all of them are told at once."""

import errno
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

from faasight_cli.errors import PortError
from faasight_cli.settings import Address


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that will be listened on: for what, where, and by which option another one is chosen."""

    what: str
    address: Address
    option: str  # its name, as in "--dashboards"
    with_host: bool = True  # whether the option takes host:port, or the port alone

    @property
    def instead(self) -> str:
        """What to type for a port near to it that is free now."""
        free = _free_near(self.address)
        return f"{self.option} {free if self.with_host else free.port}"


def in_use(address: Address) -> bool:
    """Tell whether somebody listens there already. Raises OSError if the host is not of this machine."""
    if address.port == 0:
        return False
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((address.host, address.port))
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def _free_near(address: Address) -> Address:
    """Return the next port that is free, 0 (any) if there is none nearby."""
    near = (Address(address.host, port) for port in range(address.port + 1, min(address.port + 100, 65536)))
    return next((other for other in near if not in_use(other)), Address(address.host, 0))


def settled(address: Address) -> Address:
    """Return the address, with a port that is free now in place of port 0, so that others can be told of it."""
    if address.port:
        return address
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((address.host, 0))
        return Address(address.host, probe.getsockname()[1])


def check(wanted: Sequence[Wanted]) -> None:
    """Raise PortError that names every port in use and what to type instead."""
    taken = [each for each in wanted if in_use(each.address)]
    if taken:
        lines = [f"  {each.address} ({each.what}): choose another with {each.instead}" for each in taken]
        raise PortError("ports are in use, perhaps by a FaaSight that runs already:\n" + "\n".join(lines))


def answers(url: str) -> bool:
    """Tell whether GET of this URL of ours answers 200."""
    try:
        unchecked = ssl.create_default_context()  # on this machine a name says nothing; and nothing secret is sent
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        with urlopen(url, timeout=2, context=unchecked) as answer:  # noqa: S310 - the scheme is ours
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
