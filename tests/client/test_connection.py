from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from llmops.client import ChatChunk, RequestRefused, ServeClient, ServeUnreachable
from tests.client.small_server import SNAPSHOT, Asked, Script, delta, open_stream, reply, send, serving, usage

HELLO = [{"role": "user", "content": "hello"}]


async def _answer(script: Script, client_user: str | None = None) -> tuple[list[ChatChunk], list[Asked]]:
    async with serving(script) as (url, asked), ServeClient(url, user=client_user) as serve:
        return [chunk async for chunk in serve.chat(HELLO, timeout_s=2.0)], asked


def _streaming(*events: object) -> Script:
    async def script(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer, "x-request-id: r-1")
        await send(writer, *events)

    return script


def _replying(status: int, body: str, *headers: str) -> Script:
    async def script(_: Asked, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reply(writer, status, body, *headers)

    return script


async def test_an_answer_arrives_in_pieces_with_its_id_its_reason_and_its_counts() -> None:
    chunks, _ = await _answer(
        _streaming(
            delta(role="assistant"), delta("你"), delta("好"), delta(finish_reason="stop"), usage(9, 2), "[DONE]"
        )
    )
    assert "".join(chunk.text for chunk in chunks) == "你好"
    assert {chunk.request_id for chunk in chunks} == {"r-1"}
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert (chunks[-1].input_tokens, chunks[-1].output_tokens) == (9, 2)
    times = [chunk.received_at for chunk in chunks]
    assert times == sorted(times)


async def test_line_separators_inside_a_text_do_not_cut_it() -> None:
    text = "a\u2028b\x85c\x0bd"
    chunks, _ = await _answer(_streaming(delta(text), delta(finish_reason="stop"), "[DONE]"))
    assert chunks[0].text == text


async def test_lone_surrogates_are_replaced_since_no_terminal_can_print_them() -> None:
    chunks, _ = await _answer(_streaming('{"choices":[{"delta":{"content":"a\\ud800b"}}]}', "[DONE]"))
    assert chunks[0].text == "a?b"


@pytest.mark.parametrize("event", ["5", "[]", "{", '{"choices":{}}', '{"choices":[7]}', '{"choices":[{"delta":[]}]}'])
async def test_a_chunk_of_the_wrong_shape_is_an_empty_one(event: str) -> None:
    chunks, _ = await _answer(_streaming(event, "[DONE]"))
    assert [chunk.text for chunk in chunks] == [""]


async def test_only_what_was_asked_for_is_sent() -> None:
    async with serving(_streaming("[DONE]")) as (url, asked):
        async with ServeClient(url + "/", api_key="k", synthetic=True, user="u") as serve:
            async for _ in serve.chat(HELLO, model="m", max_tokens=4, temperature=0.0, stop=["\n"]):
                pass
        async with ServeClient(url) as serve:
            async for _ in serve.chat(HELLO):
                pass
    assert asked[0].path == "/v1/chat/completions"
    assert asked[0].headers["authorization"] == "Bearer k"
    assert asked[0].headers["x-llmops-synthetic"] == "1"
    assert asked[0].json() == {
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
        "model": "m",
        "max_tokens": 4,
        "temperature": 0.0,
        "stop": ["\n"],
        "user": "u",
    }
    assert asked[1].json() == {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    assert not {"authorization", "x-llmops-synthetic"} & set(asked[1].headers)


async def test_closing_the_iterator_closes_the_connection_at_once() -> None:
    left = asyncio.Event()

    async def script(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await send(writer, delta("one"))
        assert await reader.read() == b""
        left.set()

    async with serving(script) as (url, _), ServeClient(url) as serve:
        async with contextlib.aclosing(serve.chat(HELLO)) as chunks:
            async for _chunk in chunks:
                break
        await asyncio.wait_for(left.wait(), 1.0)


async def test_cancelling_the_reader_closes_the_connection_at_once() -> None:
    left, begun = asyncio.Event(), asyncio.Event()

    async def script(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        begun.set()
        await reader.read()
        left.set()

    async def read(serve: ServeClient) -> None:
        async for _ in serve.chat(HELLO):
            pass

    async with serving(script) as (url, _), ServeClient(url) as serve:
        task = asyncio.create_task(read(serve))
        await begun.wait()
        task.cancel()
        await asyncio.wait_for(left.wait(), 1.0)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_refusal_keeps_its_slug_its_sentence_and_when_to_come_back() -> None:
    body = json.dumps({"error": {"message": "The queue is full.", "type": "server_error", "code": "queue_full"}})
    with pytest.raises(RequestRefused) as caught:
        await _answer(_replying(503, body, "retry-after: 3"))
    error = caught.value
    assert (error.status, error.code, error.message, error.retry_after_s) == (
        503,
        "queue_full",
        "The queue is full.",
        3,
    )


@pytest.mark.parametrize("retry_after", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "nan", "-1", "inf"])
async def test_a_page_of_some_proxy_is_a_refusal_too(retry_after: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        await _answer(_replying(502, "<html>" + "x" * 9999, f"retry-after: {retry_after}"))
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (502, "_OTHER", None)
    assert len(caught.value.message) == 500


async def test_an_error_in_the_middle_of_an_answer_is_raised_after_what_came_before() -> None:
    seen = []
    script = _streaming(delta("half"), {"error": {"message": "Out of memory.", "code": "oom"}})
    with pytest.raises(RequestRefused) as caught:
        async with serving(script) as (url, _), ServeClient(url) as serve:
            async for chunk in serve.chat(HELLO):
                seen.append(chunk.text)
    assert seen == ["half"]
    assert (caught.value.code, caught.value.message) == ("oom", "Out of memory.")


async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    with pytest.raises(ServeUnreachable, match="broke off"):
        await _answer(_streaming(delta("half")))


async def test_silence_longer_than_the_timeout_is_unreachable() -> None:
    async def script(_: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await open_stream(writer)
        await reader.read()

    with pytest.raises(ServeUnreachable, match="no answer in time"):
        async with serving(script) as (url, _), ServeClient(url) as serve:
            async for _chunk in serve.chat(HELLO, timeout_s=0.1):
                pass


async def test_a_server_of_another_kind_is_named_as_such() -> None:
    with pytest.raises(ServeUnreachable, match="another server"):
        await _answer(_replying(200, "<html>"))
    async with serving(_replying(200, "<html>")) as (url, _), ServeClient(url) as serve:
        with pytest.raises(ServeUnreachable, match="another server"):
            await serve.models()


async def test_when_nothing_listens_the_sentence_names_the_address_and_the_command() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with ServeClient(url) as serve:
        with pytest.raises(ServeUnreachable) as caught:
            await serve.snapshot()
        with pytest.raises(ServeUnreachable):
            async for _ in serve.chat(HELLO):
                pass
    assert url in str(caught.value)
    assert "`llmops serve`" in str(caught.value)


async def test_models_without_an_id_are_left_out() -> None:
    body = json.dumps(
        {"data": [{"id": "a", "root": "/m", "max_model_len": 512}, {"id": 5}, "x", {"id": "b", "root": 1}]}
    )
    async with serving(_replying(200, body)) as (url, _), ServeClient(url) as serve:
        models = await serve.models()
    assert [(model.id, model.root, model.max_model_len) for model in models] == [("a", "/m", 512), ("b", None, None)]


async def test_refused_models_are_a_refusal() -> None:
    async with serving(_replying(401, '{"error":{"type":"auth"}}')) as (url, _), ServeClient(url) as serve:
        with pytest.raises(RequestRefused, match="auth"):
            await serve.models()


async def test_the_live_feed_gives_documents_and_ends_with_the_server() -> None:
    script = _streaming({"event.id": "1"}, "no json", "[1]", {"event.id": "2"})
    async with serving(script) as (url, asked), ServeClient(url) as serve:
        documents = [document async for document in serve.live()]
    assert asked[0].path == "/ops/live"
    assert [document["event.id"] for document in documents] == ["1", "2"]


async def test_a_snapshot_is_read_on_an_event_loop_too() -> None:
    async with serving(_replying(200, json.dumps(SNAPSHOT))) as (url, _), ServeClient(url) as serve:
        assert (await serve.snapshot()).state == "ready"
