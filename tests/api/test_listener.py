"""Connections are let in at once; while requests are turned away those of some milliseconds together."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
import uvloop

from llmops.api import listener
from llmops.api.listener import GATHER_S, Listener
from llmops.api.server import bind

RUNNERS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
"""serve runs on uvloop, whose sockets are its own."""
Run = Callable[[Coroutine[None, None, None]], None]


class Greeting(asyncio.Protocol):
    """Notes when it was let in, says so, and stays."""

    def __init__(self, seen: list[float]) -> None:
        self._seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._seen.append(time.monotonic())
        transport.write(b"welcome")  # type: ignore[attr-defined]


class Scripted(socket.socket):
    """A listening socket whose next calls of accept fail as told."""

    failures: list[OSError]

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            raise self.failures.pop(0)
        return super().accept()


@contextlib.asynccontextmanager
async def listening(
    is_crowded: Callable[[], bool] = lambda: False, failures: list[OSError] | None = None
) -> AsyncIterator[tuple[int, list[float], Listener]]:
    bound, seen = bind("127.0.0.1", 0), list[float]()
    sock = Scripted(fileno=bound.detach())
    sock.failures = failures or []
    found = Listener(sock, lambda _: Greeting(seen), is_crowded)
    try:
        yield int(sock.getsockname()[1]), seen, found
    finally:
        found.close()
        await found.wait_closed()
        sock.close()


async def welcome(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.read(7), 10)
    finally:
        writer.close()


@RUNNERS
def test_many_at_once_are_all_let_in(run: Run) -> None:
    async def many() -> None:
        async with listening() as (port, seen, _):
            answers = await asyncio.gather(*(welcome(port) for _ in range(150)))
        assert answers == [b"welcome"] * 150
        assert len(seen) == 150

    run(many())


@RUNNERS
def test_in_a_crowded_house_those_of_some_milliseconds_are_let_in_together(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "GATHER_S", 0.4)

    async def crowd() -> None:
        async with listening(lambda: True) as (port, seen, _):
            await welcome(port)  # and from now on it rests
            coming = [asyncio.ensure_future(welcome(port)) for _ in range(20)]
            await asyncio.sleep(0.05)
            assert len(seen) == 1
            assert await asyncio.gather(*coming) == [b"welcome"] * 20
            assert seen[-1] - seen[1] < 0.3

    run(crowd())


@RUNNERS
def test_what_is_sent_to_who_was_let_in_does_not_wait_to_be_merged_with_more(run: Run) -> None:
    transports: list[asyncio.BaseTransport] = []

    class Keeping(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(transport)

    async def one() -> None:
        with (
            contextlib.closing(bind("127.0.0.1", 0)) as sock,
            contextlib.closing(Listener(sock, lambda _: Keeping(), bool)),
        ):
            _, writer = await asyncio.open_connection(*sock.getsockname())
            while not transports:
                await asyncio.sleep(0.001)
            assert transports[0].get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert transports[0].get_extra_info("peername") == writer.get_extra_info("sockname")
            writer.close()
            transports[0].close()
            await asyncio.sleep(0.01)

    run(one())


async def test_without_file_descriptors_it_waits_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "_RETRY_S", 0.05)
    with caplog.at_level(logging.ERROR):
        async with listening(failures=[OSError(errno.EMFILE, "Too many open files")]) as (port, seen, _):
            assert await welcome(port) == b"welcome"
    assert len(seen) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "no connection can be let in: Too many open files. Trying again in 0.05 s."
    ]


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH])
async def test_one_that_left_before_it_was_let_in_harms_nobody(number: int) -> None:
    async with listening(failures=[OSError(number, "gone")]) as (port, seen, _):
        assert await welcome(port) == b"welcome"
    assert len(seen) == 1


async def test_one_that_leaves_as_it_is_let_in_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, given = asyncio.get_running_loop(), list[socket.socket]()

    async def gone(protocol: Callable[[], asyncio.Protocol], connection: socket.socket) -> None:
        given.append(connection)
        raise ConnectionResetError(errno.ECONNRESET, "gone")

    monkeypatch.setattr(loop, "connect_accepted_socket", gone)
    async with listening() as (port, seen, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    assert not seen
    assert given[0].fileno() == -1


async def test_an_error_that_nobody_expects_is_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    contexts: list[dict[str, object]] = []

    def tell(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        contexts.append(context)
        told.set()

    loop.set_exception_handler(tell)
    async with listening(failures=[OSError(errno.EINVAL, "no such thing")]) as (port, _, _):
        assert await welcome(port) == b"welcome"
        await asyncio.wait_for(told.wait(), 10)
    assert isinstance(contexts[0]["exception"], OSError)


@RUNNERS
def test_whoever_comes_after_the_close_is_not_let_in(run: Run) -> None:
    async def late() -> None:
        async with listening(lambda: True) as (port, seen, found):
            await welcome(port)
            found.close()  # while it rests
            found.close()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(3 * GATHER_S)
            writer.close()
        assert len(seen) == 1

    run(late())
