"""Ports in use are told all at once, with what to type."""

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


def test_every_port_in_use_is_named_with_its_option(taken: list[Address]) -> None:
    wanted = [Wanted("gateway", taken[0], "--gateway-port 13000"), Wanted("anything", Address("127.0.0.1", 0), "--any")]
    wanted.append(Wanted("dashboards", taken[1], "--dashboards 127.0.0.1:8051"))
    with pytest.raises(PortError) as caught:
        ports.check(wanted)
    for part in (str(taken[0]), str(taken[1]), "--gateway-port 13000", "--dashboards 127.0.0.1:8051"):
        assert part in str(caught.value)
    assert "--any" not in str(caught.value)


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
