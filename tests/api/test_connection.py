"""What a connection bears: endless, slow and broken requests, and clients that do not read."""

from __future__ import annotations

import asyncio
import time

import pytest

from llmops.api import connection
from tests.api.raw import CLOSE, HEAD, App, code, exchange, post, run, serving


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
                while not app.asked or app.connections:
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
