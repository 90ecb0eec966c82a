"""Accepting connections: as many as there are places for, and never spinning when the system has none left."""

import asyncio
import errno
import heapq
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from faasight_collector.receive.connection import Connection, Shared

log = structlog.get_logger()

BACKLOG = 2048
_AT_ONCE = 64  # connections that are taken before others get their turn
_PAUSE_S = 0.1  # of accepting, when there is no place or no file left
_ROOM_SHARE = 100  # one in so many connections gives way at once when there is no place
_SETTLED_S = 1.0  # a connection younger than this, or that was answered since, does not give way
_COMPLAIN_S = 60.0  # between two log lines about the same


async def listening(host: str, port: int, *, share: bool = False) -> list[socket.socket]:
    """Return sockets that listen on all addresses of `host`; port 0 takes a free one, the same for all.

    With `share` several processes may listen on the port, and the kernel deals the connections out. Raises OSError.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            bound = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bound(family, (address[0], bound, *address[2:]), share=share))
            except OSError as error:  # `localhost` names ::1 on machines without IPv6 too
                if not sockets or error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _bound(family: int, address: tuple[str | int, ...], *, share: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


class Acceptor:
    """Takes connections from listening sockets and gives each a protocol of its own.

    When all places are taken, those that have not been answered for the longest time give way, idle and slow ones
    alike: a client that sends whole requests keeps its place, and a new one finds one.
    """

    def __init__(
        self, shared: "Shared", make: Callable[[], "Connection"], secure: Callable[[], ssl.SSLContext | None]
    ) -> None:
        self._shared = shared
        self._make = make
        self._secure = secure  # asked for each connection: certificates are renewed while we run
        self._loop = asyncio.get_running_loop()
        self._listeners: list[socket.socket] = []
        self._entering: dict[asyncio.Task[object], float] = {}  # TLS handshakes and the like, oldest first; since when
        self._resumptions: dict[socket.socket, asyncio.TimerHandle] = {}
        self._complained_at = -_COMPLAIN_S

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Begin to accept."""
        for listener in listeners:
            self._listeners.append(listener)
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def stop(self) -> None:
        """Accept no more, and end what has not come in yet."""
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        for handle in self._resumptions.values():
            handle.cancel()
        for task in self._entering:
            task.cancel()
        self._listeners.clear()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            if not self._has_place():
                self._pause(listener, "all connections are in use; those unused for longest are closed")
                return
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # it went before its turn
            except OSError as error:  # EMFILE, ENFILE, ENOBUFS: asking again at once would spin
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    self._make_room()
                self._pause(listener, f"no connection can be accepted: {error.strerror}")
                return
            self._let_in(client)

    def _let_in(self, client: socket.socket) -> None:
        client.setblocking(False)
        context = self._secure()
        timeout = self._shared.settings.handshake_timeout_s if context else None
        coming = self._loop.connect_accepted_socket(self._make, client, ssl=context, ssl_handshake_timeout=timeout)
        task = self._loop.create_task(coming)
        self._entering[task] = self._shared.now
        task.add_done_callback(self._entered)

    def _entered(self, task: asyncio.Task[object]) -> None:
        self._entering.pop(task, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._shared.count("handshake")
            log.debug("a connection ended before its first request", error=str(error))

    def _has_place(self) -> bool:
        if len(self._shared.connections) + len(self._entering) < self._shared.places:
            return True
        self._make_room()
        return False

    def _make_room(self) -> None:
        """End the handshakes and close the connections that have been of no use for the longest time."""
        number = max(1, self._shared.places // _ROOM_SHARE)
        before = self._shared.now - _SETTLED_S
        stuck = [task for task, since in self._entering.items() if since < before][:number]
        for task in stuck:
            task.cancel()
        idle = (connection for connection in self._shared.connections if connection.may_give_way(before))
        for connection in heapq.nsmallest(number - len(stuck), idle, key=lambda each: each.answered_at):
            connection.abort()
            self._shared.count("no_place")

    def _pause(self, listener: socket.socket, why: str) -> None:
        self._loop.remove_reader(listener.fileno())
        self._resumptions[listener] = self._loop.call_later(_PAUSE_S, self._resume, listener)
        if self._shared.now - self._complained_at >= _COMPLAIN_S:
            self._complained_at = self._shared.now
            log.warning(why, connections=len(self._shared.connections), places=self._shared.places)

    def _resume(self, listener: socket.socket) -> None:
        self._resumptions.pop(listener, None)
        self._loop.add_reader(listener.fileno(), self._accept, listener)
