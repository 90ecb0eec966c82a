"""Finds out which ports are in use or free before anything is started, so that all of them are told at once."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from faasight_cli.errors import PortError
from faasight_cli.settings import Address


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that will be listened on: for what, where, and how another one is chosen."""

    what: str
    address: Address
    option: str  # what to type, as in "--port 8051"


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
        lines = [f"  {each.address} ({each.what}): choose another with {each.option}" for each in taken]
        raise PortError("ports are in use, perhaps by a FaaSight that runs already:\n" + "\n".join(lines))
