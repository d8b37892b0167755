"""The server tells an application what uvicorn's own would, and ends at once with whoever is just coming in."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from llmops.api.answer import send_json
from llmops.api.server import Server, bind

REQUEST = b"GET /a%20b?c=d HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.7\r\n"


class App:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(dict(scope))
        await send_json(send, 200, {}, {})


async def _nothing() -> None:
    """To drain."""


@contextlib.asynccontextmanager
async def running(server: uvicorn.Server, sock: socket.socket) -> AsyncIterator[tuple[str, int]]:
    address = sock.getsockname()[:2]
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        await asyncio.sleep(0.001)
    try:
        yield address
    finally:
        server.should_exit = True
        await serving


async def ask(address: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(REQUEST + b"connection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_application_is_told_what_uvicorns_own_connections_tell(host: str) -> None:
    ours, theirs = App(), App()

    async def both() -> None:
        async with running(Server(ours, _nothing), bind(host, 0)) as address:
            assert (await ask(address)).startswith(b"HTTP/1.1 200")
        plain = uvicorn.Server(uvicorn.Config(theirs, lifespan="off", log_config=None, http="httptools"))
        async with running(plain, bind(host, 0)) as address:
            assert (await ask(address)).startswith(b"HTTP/1.1 200")

    uvloop.run(both())
    ((our,), (their,)) = ours.scopes, theirs.scopes
    assert our.keys() == their.keys()
    ports = ("client", "server")
    assert [our[port][0] for port in ports] == [their[port][0] for port in ports]
    assert all(isinstance(our[port][1], int) for port in ports)
    assert {name: our[name] for name in our if name not in ports} == {
        name: their[name] for name in their if name not in ports
    }


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_who_comes_in_while_it_ends_holds_nobody_up(turns: int) -> None:
    async def late() -> float:
        server = Server(App(), _nothing)
        async with running(server, bind("127.0.0.1", 0)) as address:
            client = socket.create_connection(address)
            client.sendall(REQUEST + b"\r\n")  # and keeps its connection
            for _ in range(turns):
                await asyncio.sleep(0)
            began = time.monotonic()
            server.should_exit = True
            await server.shutdown()
            took_s = time.monotonic() - began
            client.close()
        return took_s

    assert uvloop.run(late()) < 1.5  # else it waits for the client, for 2 s
