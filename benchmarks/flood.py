"""Many clients in one breath, as bare sockets and one epoll: cheap enough that the measured time is the server's."""

from __future__ import annotations

import dataclasses
import json
import selectors
import socket
import time


@dataclasses.dataclass(frozen=True)
class Answer:
    """One response: status, headers, body, seconds from the request's last byte to the response's first."""

    status: int
    headers: dict[str, str]
    body: bytes
    first_byte_s: float


def flood(port: int, count: int, text: str) -> list[Answer]:
    """Open `count` connections, then send one chat on each at once; every answer, in the order of their first bytes."""
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]
    time.sleep(0.2)  # the server has accepted them all
    sent_at, first_byte_s, received = dict[int, float](), dict[int, float](), dict[int, bytes]()
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(head.encode() + body)
            sent_at[sock.fileno()] = time.monotonic()
        while selector.get_map():
            for key, _ in selector.select(timeout=60):
                chunk = key.fileobj.recv(65536)  # type: ignore[union-attr]
                first_byte_s.setdefault(key.fd, time.monotonic() - sent_at[key.fd])
                received[key.fd] = received.get(key.fd, b"") + chunk
                if not chunk:
                    selector.unregister(key.fileobj)
    for sock in sockets:
        sock.close()
    return [_parse(response, first_byte_s[number]) for number, response in received.items()]


def _parse(response: bytes, first_byte_s: float) -> Answer:
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, body, first_byte_s)
