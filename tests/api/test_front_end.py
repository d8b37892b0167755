"""A front end's end users are users of their own, and its background tasks wait behind people; no other key may."""

from __future__ import annotations

import logging

import httpx
import pytest

from llmops.admission.identity import hash_user
from llmops.admission.keys import KeyRing, make_key, read_keys, write_keys
from llmops.admission.ticket import Priority
from llmops.api.door import Door
from llmops.api.front_end import FrontEndHeaders
from tests.api.running import running
from tests.api.test_routes import CHAT, HELLO

FRONT, FRONT_TEXT = make_key("open-webui", 0.0, is_front_end=True)
ANN, ANN_TEXT = make_key("ann", 0.0)
USER, TASK = "X-OpenWebUI-User-Id", "X-OpenWebUI-Task"
EMBEDDINGS = "/v1/embeddings"


def door() -> Door:
    return Door("auto", lambda: KeyRing([FRONT, ANN]), front_end=FrontEndHeaders(USER, TASK))


def by(key: str | None, **headers: str) -> dict[str, str]:
    bearer = {} if key is None else {"authorization": f"Bearer {key}"}
    return bearer | {name.replace("_", "-"): value for name, value in headers.items()}


async def test_each_end_user_of_a_front_end_has_a_bucket_and_a_name_of_their_own() -> None:
    async with running(door=door(), rate_per_s=0.001, burst=1) as server, httpx.AsyncClient() as http:
        for user in ("u1", "u2"):
            sent = by(FRONT_TEXT, **{USER: user})
            assert (
                await http.post(server.url + CHAT, json={**HELLO, "user": "other"}, headers=sent)
            ).status_code == 200
            assert (await http.post(server.url + CHAT, json=HELLO, headers=sent)).status_code == 429
        assert (await http.post(server.url + CHAT, json=HELLO, headers=by(FRONT_TEXT))).status_code == 200
        events = await server.settled(5)
        hashes = [hash_user(b"key", name) for name in ("open-webui/u1", "open-webui/u2", "open-webui")]
        assert [event.user_hash for event in events] == [hashes[0], hashes[0], hashes[1], hashes[1], hashes[2]]
        assert all("u1" not in str(event.user_id) for event in events)


async def test_vectors_are_asked_for_by_the_end_user_too() -> None:
    async with running(door=door()) as server, httpx.AsyncClient() as http:
        await http.post(server.url + EMBEDDINGS, json={"input": "a"}, headers=by(FRONT_TEXT, **{USER: "u1"}))
        (event,) = await server.settled(1)
        assert event.user_hash == hash_user(b"key", "open-webui/u1")


@pytest.mark.parametrize(
    ("key", "name"),
    [(ANN_TEXT, "ann"), (None, "ip:127.0.0.1"), ("lk-made-up", "ip:127.0.0.1")],
    ids=["another_key", "no_key", "unknown_key"],
)
async def test_no_other_client_leaves_its_bucket_by_the_header(
    key: str | None, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(door=door(), rate_per_s=0.001, burst=1) as server, httpx.AsyncClient() as http:
        first = await http.post(server.url + CHAT, json=HELLO, headers=by(key, **{USER: "u1"}))
        again = await http.post(server.url + CHAT, json=HELLO, headers=by(key, **{USER: "u2"}))
        assert (first.status_code, again.status_code) == (200, 429)
        events = await server.settled(2)
        assert {event.user_hash for event in events} == {hash_user(b"key", name)}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([message for message in warnings if "--front-end" in message and USER in message]) == 1


async def test_an_end_users_name_that_is_too_long_is_a_400_that_names_the_header() -> None:
    async with running(door=door()) as server, httpx.AsyncClient() as http:
        refused = await http.post(server.url + CHAT, json=HELLO, headers=by(FRONT_TEXT, **{USER: "u" * 257}))
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, USER)
        assert "257 bytes" in refused.json()["error"]["message"]


def test_end_users_are_told_apart_whatever_their_bytes_and_without_a_header_there_is_none() -> None:
    headers = FrontEndHeaders(USER, None)
    names = [headers.user_of(FRONT, {b"x-openwebui-user-id": name}) for name in (b"\xff", b"\xfe", "é".encode())]
    assert names == ["open-webui/\\xff", "open-webui/\\xfe", "open-webui/é"]
    assert headers.user_of(FRONT, {b"x-openwebui-user-id": b" "}) is None
    assert FrontEndHeaders().user_of(FRONT, {b"x-openwebui-user-id": b"u1"}) is None
    assert not headers.is_background({b"x-openwebui-task": b"title_generation"})


@pytest.mark.parametrize(
    ("headers", "priority"),
    [
        ({TASK: "title_generation"}, Priority.SUMMARY),
        ({TASK: ""}, Priority.INTERACTIVE),
        ({}, Priority.INTERACTIVE),
        ({TASK: "title_generation", "x-llmops-priority": "interactive"}, Priority.INTERACTIVE),
        ({TASK: "title_generation", "x-llmops-synthetic": "1"}, Priority.BENCHMARK),
    ],
)
async def test_a_background_task_is_served_after_people_and_its_event_says_so(
    headers: dict[str, str], priority: Priority
) -> None:
    async with running(door=door()) as server, httpx.AsyncClient() as http:
        assert (await http.post(server.url + CHAT, json=HELLO, headers=by(FRONT_TEXT, **headers))).status_code == 200
        (event,) = await server.settled(1)
        assert event.priority == priority.word


def test_the_file_of_keys_says_which_are_a_front_ends_and_older_files_have_none() -> None:
    written = write_keys(KeyRing([FRONT, ANN]))
    assert [key.is_front_end for key in read_keys(written).keys] == [True, False]
    older = written.replace(',\n      "front_end": true', "").replace(',\n      "front_end": false', "")
    assert "front_end" not in older
    assert [key.is_front_end for key in read_keys(older).keys] == [False, False]
