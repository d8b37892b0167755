"""Clients that wish for another protocol, speak HTTP/1.0, close their sending side, or send many requests at once."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from llmops.api import half_close
from tests.api.raw import CLOSE, HEAD, App, exchange, post, run, serving

UPGRADE = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEA\r\n"


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


def test_a_client_that_still_sends_when_it_is_answered_gets_the_answer_and_then_the_end() -> None:
    async def early() -> None:
        async with serving(App(reads=False)) as address:
            answer = await exchange(address, post(b"a" * 60_000, CLOSE)[:-59_000], *[b"a" * 3000] * 10)
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"padding" in answer

    run(early)
