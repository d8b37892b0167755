"""What a connection bears: endless, slow, broken and uncommon requests, and clients that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from llmops.api import connection, half_close
from llmops.api.answer import send_json
from llmops.api.connection_table import ConnectionLimits
from llmops.api.server import Server, bind

HEAD = b"GET / HTTP/1.1\r\nhost: localhost\r\n"
UPGRADE = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEA\r\n"
CLOSE = b"connection: close\r\n"
LIMITS: dict[str, Any] = {"max_header_bytes": 4096, "max_body_bytes": 4096}


class App:
    """Answers with what it was asked, after `delay_s`; `/stream` in pieces without a length."""

    def __init__(self, delay_s: float = 0.0, reads: bool = True, size: int = 1) -> None:
        self.delay_s, self.reads, self.size = delay_s, reads, size
        self.asked: list[dict[str, Any]] = []
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", self.reads
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.asked.append({"path": scope["path"], "body": body, "headers": list(scope["headers"])})
        working = asyncio.ensure_future(self._answer(scope, send, body))
        leaving = asyncio.ensure_future(receive()) if self.reads else asyncio.ensure_future(asyncio.sleep(99))
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        self.left += not working.done()
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)

    async def _answer(self, scope: Scope, send: Send, body: bytes) -> None:
        if scope["path"] != "/stream":
            await asyncio.sleep(self.delay_s)
            await send_json(send, 200, {"body": body.decode("latin-1"), "padding": "x" * self.size}, {})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await asyncio.sleep(self.delay_s)
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def serving(app: App, **limits: Any) -> AsyncIterator[tuple[str, int]]:
    sock = bind("127.0.0.1", 0)

    async def drained() -> None:
        """Nothing to drain."""

    server = Server(app, drained, limits=ConnectionLimits(**{**LIMITS, **limits}))
    running = asyncio.create_task(server.run_on(sock))
    while not server.started:
        await asyncio.sleep(0.001)
    try:
        yield sock.getsockname()[:2]
    finally:
        server.finish()
        await running
        sock.close()


async def exchange(address: tuple[str, int], *pieces: bytes, half_closes: bool = False, within_s: float = 10) -> bytes:
    """Everything that the server sends until it closes; `pieces` in packets of their own."""
    reader, writer = await asyncio.open_connection(*address)
    for piece in pieces:
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop's word for a closed one
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
    if half_closes:
        writer.write_eof()
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(within_s):
            while piece := await reader.read(65536):
                received += piece
    writer.close()
    return received


def code(answer: bytes) -> tuple[int, str]:
    """Status and code of an error in the shape of the API."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nx-request-id: " in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def post(body: bytes, *headers: bytes, path: bytes = b"/", version: bytes = b"1.1") -> bytes:
    head = b"POST %b HTTP/%b\r\nhost: localhost\r\n%bcontent-length: %d\r\n\r\n"
    return head % (path, version, b"".join(headers), len(body)) + body


def run(test: Any) -> None:
    """On the loop that serve runs on."""
    uvloop.run(test())


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((HEAD + b"a: " + b"a" * 5000 + b"\r\n\r\n",), (431, "headers_too_large")),
        ((HEAD + b"a: ", *[b"a" * 2000] * 60), (431, "headers_too_large")),
        ((HEAD, *[b"a: " + b"a" * 1000 + b"\r\n"] * 60), (431, "headers_too_large")),
        ((HEAD + b"a: b\r\n" * 101 + b"\r\n",), (431, "headers_too_large")),
        ((b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",), (414, "uri_too_long")),
        ((b"GET /", *[b"a" * 2000] * 60), (414, "uri_too_long")),
        ((post(b"")[:-4] + b"\r\ntransfer-encoding: chunked\r\n\r\n",), (400, "bad_request")),
        ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 99,), (400, "bad_request")),
        ((b"hello\r\n\r\n",), (400, "bad_request")),
        ((b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n",), (405, "method_not_allowed")),
        (
            (post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"1;", *[b"a" * 9000] * 20),
            (413, "request_too_large"),
        ),
    ],
    ids=[
        "long",
        "endless",
        "many",
        "number",
        "line",
        "endless line",
        "two lengths",
        "tls",
        "words",
        "connect",
        "chunk extension",
    ],
)
def test_what_is_too_much_or_no_http_is_refused_in_the_shape_of_an_error(
    pieces: tuple[bytes, ...], expected: tuple[int, str]
) -> None:
    async def refused() -> None:
        app = App()
        async with serving(app) as address:
            assert code(await exchange(address, *pieces)) == expected
            assert (await exchange(address, HEAD + CLOSE + b"\r\n")).startswith(b"HTTP/1.1 200")
        assert len(app.asked) == 1

    run(refused)


def test_tls_on_the_plain_port_is_named() -> None:
    async def named() -> None:
        async with serving(App()) as address:
            assert b"use http://" in await exchange(address, b"\x16\x03\x01\x00\x05hello")

    run(named)


def test_headers_that_fit_are_read_however_they_arrive() -> None:
    async def fit() -> None:
        app = App()
        async with serving(app) as address:
            request = HEAD + CLOSE + b"a: " + b"a" * 3900 + b"\r\n\r\n"
            for pieces in ((request,), (request[:2000], request[2000:]), (request[:-1], request[-1:])):
                assert (await exchange(address, *pieces)).startswith(b"HTTP/1.1 200")
            # A body as large as it may be, and another request right behind it.
            assert (await exchange(address, post(b"b" * 4096) + post(b"c", CLOSE))).count(b"HTTP/1.1 200") == 2
        assert len(app.asked) == 5

    run(fit)


def test_headers_that_come_too_slowly_are_a_408_and_silence_is_a_close() -> None:
    async def slow() -> None:
        async with serving(App(), header_timeout_s=0.2) as address:
            assert code(await exchange(address, HEAD)) == (408, "request_timeout")
            assert await exchange(address) == b""
            reader, writer = await asyncio.open_connection(*address)
            writer.write(HEAD + b"\r\n" + HEAD)  # the second one has no end
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.1 408") == 1
            writer.close()

    run(slow)


def test_an_unused_connection_stays_for_its_time_and_no_longer() -> None:
    async def unused() -> None:
        async with serving(App(), keep_alive_s=1.5, header_timeout_s=0.1) as address:
            reader, writer = await asyncio.open_connection(*address)
            for _ in range(2):
                writer.write(HEAD + b"\r\n")
                await asyncio.wait_for(reader.readuntil(b"}"), 10)
                await asyncio.sleep(1.0)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()

    run(unused)


def test_a_body_without_an_end_is_closed_though_its_route_did_not_read_it() -> None:
    async def endless() -> None:
        async with serving(App(reads=False), body_timeout_s=0.2) as address:
            slow = await exchange(address, post(b"")[:-5] + b"99\r\n\r\nabc")
            assert slow.startswith(b"HTTP/1.1 200")
        async with serving(App(reads=False)) as address:
            began = time.monotonic()
            await exchange(address, post(b"")[:-5] + b"99999999\r\n\r\n", *[b"a" * 9000] * 40)
            assert time.monotonic() - began < 9, "closed for its bytes, long before its time"

    run(endless)


def test_a_client_that_reads_nothing_is_let_go() -> None:
    async def stuck() -> None:
        app = App(size=32 << 20)
        async with serving(app, write_timeout_s=0.2) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(HEAD + b"\r\n")
            async with asyncio.timeout(10):
                while not app.left:
                    await asyncio.sleep(0.01)
            writer.close()

    run(stuck)


def test_one_address_may_not_have_all_connections_and_the_oldest_unused_one_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def full() -> None:
        async with serving(App(), max_connections=3) as address:
            held = [await asyncio.open_connection(*address) for _ in range(3)]
            await asyncio.sleep(0.05)
            assert (await exchange(address, HEAD + CLOSE + b"\r\n")).startswith(b"HTTP/1.1 200")
            assert await asyncio.wait_for(held[0][0].read(), 10) == b""
            held[1][1].write(HEAD + CLOSE + b"\r\n")
            assert (await asyncio.wait_for(held[1][0].read(), 10)).startswith(b"HTTP/1.1 200")
            for _, writer in held:
                writer.close()
        async with serving(App(delay_s=5), max_connections=2) as address:
            held = [await asyncio.open_connection(*address) for _ in range(2)]
            for _, writer in held:
                writer.write(HEAD + b"\r\n")
            await asyncio.sleep(0.1)
            assert code(await exchange(address)) == (429, "too_many_connections")  # no answer is cut off for it
            for _, writer in held:
                writer.close()
        monkeypatch.setattr(connection, "is_loopback", lambda _: False)
        async with serving(App(), max_per_address=1) as address:
            _, writer = await asyncio.open_connection(*address)
            await asyncio.sleep(0.05)
            assert code(await exchange(address)) == (429, "too_many_connections")
            writer.close()
            await asyncio.sleep(0.05)
            assert (await exchange(address, HEAD + CLOSE + b"\r\n")).startswith(b"HTTP/1.1 200")

    run(full)


@pytest.mark.parametrize(
    "wish", [UPGRADE, b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n", b"upgrade: h2c\r\n"]
)
def test_a_wish_for_another_protocol_is_ignored_and_the_body_is_read(wish: bytes) -> None:
    async def ignored() -> None:
        app = App()
        async with serving(app) as address:
            first = post(b"one two three", wish)
            split = first.index(b"\r\n\r\n") + 4
            for pieces in (
                (first,),
                (first[:split], first[split : split + 3], first[split + 3 :]),
                (first[:9], first[9:]),
            ):
                answer = await exchange(address, *pieces, post(b"last", CLOSE))
                assert answer.count(b"HTTP/1.1 200") == 2
            chunked = b"POST / HTTP/1.1\r\nhost: a\r\n%btransfer-encoding: chunked\r\n\r\n3\r\nfour\r\n0\r\n\r\n" % wish
            assert b"200" in await exchange(
                address, chunked.replace(b"four", b"fou") + post(b"", wish) + post(b"", CLOSE)
            )
        bodies = [asked["body"] for asked in app.asked]
        assert bodies == [b"one two three", b"last"] * 3 + [b"fou", b"", b""]
        assert not [each for asked in app.asked for each in asked["headers"] if each[0] == b"http2-settings"]

    run(ignored)


def test_an_http_1_0_client_gets_no_chunks_and_no_interim_response() -> None:
    async def plain() -> None:
        async with serving(App()) as address:
            stream = await exchange(address, post(b"", path=b"/stream", version=b"1.0"))
            assert b"chunked" not in stream
            assert stream.endswith(b"\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n")
            answer = await exchange(
                address, post(b"a", b"expect: 100-continue\r\nconnection: keep-alive\r\n", version=b"1.0")
            )
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"\r\ncontent-length: " in answer

    run(plain)


def test_a_client_that_waits_to_send_its_body_is_told_to_go_on_or_answered_and_closed() -> None:
    async def waits() -> None:
        async with serving(App()) as address:
            request = post(b"a", b"expect: 100-continue\r\n", CLOSE)
            assert (await exchange(address, request[:-1], request[-1:])).startswith(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"
            )
        async with serving(App(reads=False)) as address:
            answer = await exchange(address, post(b"a", b"expect: 100-continue\r\n")[:-1])
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"\r\nconnection: close\r\n" in answer

    run(waits)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("path", [b"/", b"/stream"])
def test_a_client_that_closes_only_its_sending_side_gets_its_answer(version: bytes, path: bytes) -> None:
    async def half() -> None:
        app = App(delay_s=0.3)
        async with serving(app) as address:
            answer = await exchange(address, post(b"a", path=path, version=version), half_closes=True)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"padding" in answer or b"data: 2" in answer
        assert app.left == 0

    run(half)


@pytest.mark.parametrize("later", [False, True])
def test_one_that_waits_longer_may_be_sent_an_interim_response_before_its_answer(
    later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half_close, "_INTERIM_AFTER_S", 0.1)

    async def waits() -> None:
        async with serving(App(delay_s=0.6)) as address:
            pieces = (post(b"a"), *(b"",) * 10 * later)  # each takes 10 ms
            answer = await exchange(address, *pieces, half_closes=True)
            assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")

    run(waits)


@pytest.mark.parametrize("path", [b"/", b"/stream"])
@pytest.mark.parametrize("after_s", [0.0, 0.2])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_one_that_closes_its_connection_has_left(path: bytes, after_s: float, version: bytes) -> None:
    if (path, after_s, version) == (b"/", 0.0, b"1.0"):
        pytest.skip("nothing can be sent to tell it from one that still reads")

    async def leaves() -> None:
        app = App(delay_s=20)
        async with serving(app) as address:
            began = time.monotonic()
            with socket.create_connection(address) as client:
                client.sendall(post(b"a", path=path, version=version))
                while not app.asked:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(after_s)
            async with asyncio.timeout(10):
                while not app.left:
                    await asyncio.sleep(0.005)
            assert time.monotonic() - began < 5

    run(leaves)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://evil.example/a", b"evil.example"),
        (b"http://[::1]:80/a", b"[::1]:80"),
        (b"http://127.0.0.1@evil.example/a", b"127.0.0.1@evil.example"),
        (b"http://evil.example:81", b"evil.example:81"),
        (b"/http://evil.example", b"localhost"),
    ],
)
def test_the_host_of_an_absolute_target_is_the_one_that_counts(target: bytes, host: bytes) -> None:
    async def absolute() -> None:
        app = App()
        async with serving(app) as address:
            await exchange(address, b"GET %b HTTP/1.1\r\nhost: localhost\r\n" % target + CLOSE + b"\r\n")
        assert [value for name, value in app.asked[0]["headers"] if name == b"host"] == [host]

    run(absolute)


def test_trailers_are_no_headers() -> None:
    async def trailing() -> None:
        app = App()
        async with serving(app) as address:
            await exchange(
                address,
                b"POST / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
                b"1\r\na\r\n0\r\nhost: localhost\r\nauthorization: Bearer a\r\n\r\n",
            )
        assert [value for name, value in app.asked[0]["headers"] if name == b"host"] == [b"evil.example"]
        assert b"authorization" not in dict(app.asked[0]["headers"])

    run(trailing)


def test_many_requests_in_one_breath_are_answered_in_order_up_to_a_bound() -> None:
    async def piped() -> None:
        app = App()
        async with serving(app) as address:
            requests = b"".join(post(b"%d" % number) for number in range(50))
            answer = await exchange(address, requests + post(b"last", CLOSE))
            assert answer.count(b"HTTP/1.1 200") == 51
            assert [int(asked["body"]) for asked in app.asked[:50]] == list(range(50))
            await exchange(address, (HEAD + b"\r\n") * 5000)
            assert len(app.asked) < 300
            answer = await exchange(address, post(b"first", path=b"/stream") + b"no HTTP\r\n\r\n")
            assert answer.endswith(b"data: 2\n\n\r\n0\r\n\r\n")  # whole, and nothing in its midst

    run(piped)
