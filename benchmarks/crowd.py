"""Any number of clients as bare sockets under one epoll: some keep a number of requests under way, some keep a rate."""

from __future__ import annotations

import dataclasses
import json
import selectors
import socket
import time
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """One answer. code: of the error, or None; seconds from the request's last byte to the first and last answered."""

    user: str
    status: int
    code: str | None
    first_byte_s: float
    took_s: float
    sent_at: float


@dataclasses.dataclass(slots=True)
class _Call:
    user: str
    sent_at: float
    first_byte_s: float | None = None
    received: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A user who keeps `at_once` requests under way, or asks `per_s` times a second whatever becomes of it."""

    user: str
    at_once: int = 0
    per_s: float = 0.0


class Crowd:
    """Against one serve on this machine; each request on a connection of its own."""

    def __init__(self, port: int, text: str, **more: object) -> None:
        self._port = port
        self._body = {"messages": [{"role": "user", "content": text}], **more}
        self._selector = selectors.DefaultSelector()
        self._under_way: dict[str, int] = {}
        self.broken = 0

    def run(self, clients: list[Client], seconds: float, look: Callable[[], None] = lambda: None) -> list[Served]:
        """Ask for so long, then wait for what is under way. `look` is called about once a second."""
        began = looked = time.monotonic()
        asked = dict.fromkeys((client.user for client in clients), 0)
        served: list[Served] = []
        while (now := time.monotonic()) - began < seconds or self._selector.get_map():
            if now - began < seconds:
                for client in clients:
                    due = int((now - began) * client.per_s) - asked[client.user]
                    for _ in range(due if client.per_s else client.at_once - self._under_way.get(client.user, 0)):
                        asked[client.user] += 1
                        self._ask(client.user)
            served += self._collect()
            if now - looked >= 1.0:
                looked = now
                look()
        return served

    def _ask(self, user: str) -> None:
        body = json.dumps({**self._body, "user": user}).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        sock.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self._selector.register(sock, selectors.EVENT_READ, _Call(user, time.monotonic()))
        self._under_way[user] = self._under_way.get(user, 0) + 1

    def _collect(self) -> list[Served]:
        served = []
        for key, _ in self._selector.select(timeout=0.002):
            sock, call = key.fileobj, key.data
            assert isinstance(sock, socket.socket)
            try:
                chunk = sock.recv(65536)
            except ConnectionError:
                chunk = b""
            if call.first_byte_s is None:
                call.first_byte_s = time.monotonic() - call.sent_at
            call.received += chunk
            if not chunk:
                self._selector.unregister(sock)
                sock.close()
                self._under_way[call.user] -= 1
                served += self._read(call)
        return served

    def _read(self, call: _Call) -> list[Served]:
        head, _, body = call.received.partition(b"\r\n\r\n")
        if not head:
            self.broken += 1
            return []
        status = int(head.split(b" ", 2)[1])
        code = json.loads(body)["error"]["code"] if status != 200 else None
        took_s = time.monotonic() - call.sent_at
        return [Served(call.user, status, code, call.first_byte_s or took_s, took_s, call.sent_at)]
