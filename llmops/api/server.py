"""The HTTP server: one socket, one event loop, and a SIGTERM that lets running answers finish."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from llmops.api.connection import Connection
from llmops.api.connection_table import ConnectionLimits, ConnectionTable
from llmops.api.heap import trim_heap
from llmops.api.listener import Listener

_log = logging.getLogger(__name__)
BACKLOG = 2048
_TICKS_PER_SWEEP = 10
"""uvicorn ticks every 0.1 s."""
_HEADERS = [
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
]
"""Of every response: what models and clients wrote is in them, and no browser may run or frame it."""


class Server(uvicorn.Server):
    """The first SIGTERM or SIGINT drains; the second one ends at once.

    is_crowded: whether requests are being turned away, see `Listener`.
    """

    def __init__(
        self,
        app: ASGIApp,
        drain: Callable[[], Awaitable[None]],
        is_crowded: Callable[[], bool] = lambda: False,
        limits: ConnectionLimits | None = None,
    ) -> None:
        limits = limits or ConnectionLimits()
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=Connection,
                ws="none",  # no route speaks it: such a request is answered like any other
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                headers=_HEADERS,
                backlog=BACKLOG,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=limits.keep_alive_s,  # type: ignore[arg-type]
            )
        )
        self._table = ConnectionTable(limits, time.monotonic)
        self._drain = drain
        self._is_crowded = is_crowded
        self._draining: asyncio.Task[None] | None = None
        self._was_told = False
        self._serving_loop: asyncio.AbstractEventLoop | None = None

    async def run_on(self, sock: socket.socket) -> None:
        """Serve this listening socket until drained."""
        self._serving_loop = asyncio.get_running_loop()
        await self.serve(sockets=[sock])
        # What did not end in time still has its event to emit.
        left = tuple(self.server_state.tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but for who lets connections in."""
        await super().startup(sockets=[])
        self.servers = [self._listener(sock) for sock in sockets or ()]  # type: ignore[misc]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, once whoever was at the door is in: it asks those who are there to leave, and waits."""
        for server in self.servers:
            server.close()
            await server.wait_closed()
        await super().shutdown(sockets)

    def _listener(self, sock: socket.socket) -> Listener:
        config, state, kept, here = self.config, self.server_state, self.lifespan.state, sock.getsockname()[:2]
        table = self._table
        return Listener(sock, lambda there: Connection(config, state, kept, table, here, there[:2]), self._is_crowded)

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's; and once a second, connections past their deadline are closed."""
        if counter % _TICKS_PER_SWEEP == 0:
            self._table.sweep()
            if self._table.has_emptied():
                await asyncio.to_thread(trim_heap)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal. uvicorn would stop listening at once; we answer 503 until the last answer is out."""
        loop = self._serving_loop
        if self._was_told or loop is None:
            self.should_exit = self.force_exit = True
            return
        self._was_told = True
        loop.call_soon_threadsafe(self.finish)

    def finish(self) -> None:
        """Drain, then stop. On the event loop only."""
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain_then_exit())

    async def _drain_then_exit(self) -> None:
        try:
            await self._drain()
        except Exception:
            _log.exception("draining failed")
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one. Raises OSError with one sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)  # at once: two sockets may bind the same port as long as neither listens
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        raise OSError(
            f"serve cannot listen on {host} port {port}: {reason}. Choose another with --port, or 0 for a free one."
        ) from None
    return sock
