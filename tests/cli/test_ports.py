"""Ports in use are told all at once, with what to type."""

import re
import socket
from collections.abc import Iterator

import pytest
from faasight_cli import ports
from faasight_cli.errors import PortError
from faasight_cli.ports import Wanted
from faasight_cli.settings import Address


@pytest.fixture
def taken() -> Iterator[list[Address]]:
    """Give the addresses of two listening sockets."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        yield [Address("127.0.0.1", server.getsockname()[1]) for server in (one, two)]


def test_every_port_in_use_is_named_with_another_that_is_free(taken: list[Address]) -> None:
    wanted = [
        Wanted("gateway", taken[0], "--gateway-port", with_host=False),
        Wanted("anything", Address("127.0.0.1", 0), "--any"),
        Wanted("dashboards", taken[1], "--dashboards"),
    ]
    with pytest.raises(PortError) as caught:
        ports.check(wanted)
    told = str(caught.value)
    port = re.search(rf"{taken[0]} \(gateway\): choose another with --gateway-port (\d+)$", told, re.MULTILINE)
    place = re.search(rf"{taken[1]} \(dashboards\): choose another with --dashboards 127.0.0.1:(\d+)$", told, re.M)
    assert port
    assert place
    for found in (port, place):
        assert not ports.in_use(Address("127.0.0.1", int(found[1])))
    assert "--any" not in told


def test_a_port_is_free_again_when_its_listener_has_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1])
        assert ports.in_use(address)
    assert not ports.in_use(address)


def test_looking_at_a_port_does_not_take_it(taken: list[Address]) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    address = Address("127.0.0.1", free.getsockname()[1])
    free.close()
    ports.check([Wanted("dashboards", address, "")])
    socket.create_server((address.host, address.port)).close()


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        ports.in_use(Address("192.0.2.1", 8050))
