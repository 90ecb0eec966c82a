"""The HTTP server under the emulator's doors: every client gets an answer, and a client that leaves spoils nothing."""

import asyncio
from typing import Any

from faasight_emulator.http_server import HttpServer, Request, Response, listen
from faasight_emulator.runtime_api import Ready, RuntimeApi, Said, Task


def test_a_handler_that_fails_is_answered() -> None:
    """The client gets a 500, and not silence; what was wrong goes to the loop's handler."""

    async def fail(request: Request) -> Response:
        raise LookupError(request.path)

    async def ask() -> tuple[bytes, list[dict[str, Any]]]:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
        server, listener = HttpServer(fail, max_body=100), listen("127.0.0.1", 0)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await asyncio.wait_for(reader.readline(), 180)
        writer.close()
        await server.stop()
        return answer, told

    answer, told = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert [type(what["exception"]) for what in told] == [LookupError]


def test_a_runtime_that_hangs_up_while_it_waits() -> None:
    """The next invocation can be given all the same: that the process is gone is told by its end, not by the API."""

    async def hang_up() -> None:
        said: asyncio.Queue[Said] = asyncio.Queue()
        api = RuntimeApi(said.put_nowait)
        await api.start()
        host, port = api.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await asyncio.wait_for(said.get(), 180) == Ready()
        server = api._server
        writer.close()
        async with asyncio.timeout(10):
            while server.connections:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0)  # the cancelled handler has its turn
        api.give(Task("r-1", b"{}", 0, "arn", "Root=1"))
        await api.stop()

    asyncio.run(hang_up())
