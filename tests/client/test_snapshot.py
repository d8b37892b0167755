from __future__ import annotations

import asyncio
import json

import pytest

from llmops.client import RequestRefused, ServeUnreachable, fetch_snapshot
from llmops.events.snapshot import ServeSnapshot
from tests.client.small_server import SNAPSHOT, Asked, reply, serving


async def _fetch(status: int, body: str) -> ServeSnapshot:
    async def script(asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert asked.path == "/ops/snapshot"
        await reply(writer, status, body)

    async with serving(script) as (url, _):
        return await asyncio.to_thread(fetch_snapshot, url)


async def test_a_snapshot_of_a_newer_serve_is_read_and_its_new_keys_are_ignored() -> None:
    snapshot = await _fetch(200, json.dumps(SNAPSHOT))
    assert snapshot.model.id == "demo"
    assert snapshot.environment["torch"] == "2.13.0"
    assert snapshot.devices == ()


@pytest.mark.parametrize(("status", "body"), [(200, "{}"), (200, "<html>"), (404, "not here")])
async def test_something_else_at_that_address_is_not_taken_for_serve(status: int, body: str) -> None:
    with pytest.raises(ServeUnreachable, match="another server"):
        await _fetch(status, body)


async def test_a_refused_look_keeps_its_status() -> None:
    with pytest.raises(RequestRefused, match="401"):
        await _fetch(401, '{"error": {"code": "unauthorized", "message": "no key"}}')


@pytest.mark.parametrize("url", ["", "nonsense", "http://[", "ftp://x", "http://127.0.0.1:1"])
def test_an_address_without_serve_is_one_sentence(url: str) -> None:
    with pytest.raises(ServeUnreachable, match="llmops serve"):
        fetch_snapshot(url, timeout_s=0.5)


async def test_a_serve_that_hangs_is_given_up_after_the_timeout() -> None:
    async def script(_: Asked, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(script) as (url, _):
        with pytest.raises(ServeUnreachable, match="no answer in time"):
            await asyncio.to_thread(fetch_snapshot, url, 0.1)


async def test_a_proxy_in_the_environment_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await _fetch(200, json.dumps(SNAPSHOT))).state == "ready"
