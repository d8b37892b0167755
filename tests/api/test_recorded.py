"""The event of an answer is written before the answer is whole, and serve says when events are no longer written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from llmops.events import Document
from tests.api.running import running

BODY = {"messages": [{"role": "user", "content": "one two three"}]}
CHAT = "/v1/chat/completions"


def _ids(documents: Sequence[Document]) -> set[str]:
    return {document["http.request.id"] for document in documents}


@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}])
async def test_whoever_reads_the_end_of_an_answer_finds_its_event_written(fields: dict[str, object]) -> None:
    async with running() as server, httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        for number in range(10):
            async with http.stream("POST", CHAT, json=BODY | fields, headers={"x-request-id": f"r{number}"}) as answer:
                read = b""
                async for chunk in answer.aiter_raw():
                    read += chunk
                    if b"[DONE]" in read:
                        assert f"r{number}" in _ids(server.kept.documents)
            assert f"r{number}" in _ids(server.kept.documents)
            assert server.requests[-1].outcome == "success"
    assert len(server.requests) == 10


async def test_without_the_thread_that_writes_events_answers_go_on_and_health_metric_and_snapshot_say_so() -> None:
    async with running() as server, httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        write, bus = server.kept.write, server.station.bus

        def end_the_thread(_: Sequence[Document]) -> None:
            server.kept.write = write  # type: ignore[method-assign]
            raise SystemExit

        server.kept.write = end_the_thread  # type: ignore[method-assign, assignment]
        assert (await http.post(CHAT, json=BODY)).status_code == 200
        async with asyncio.timeout(5):
            while bus.is_alive:
                await asyncio.sleep(0.01)
        assert (await http.post(CHAT, json=BODY)).status_code == 200
        for path, status in (("/health", 503), ("/health/ready", 503), ("/health/live", 503)):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["state"]) == (status, "degraded")
            assert "the thread that writes events has ended" in answer.json()["reason"]
        metrics = (await http.get("/metrics")).text
        assert 'llmops_thread_up{thread="events"} 0.0' in metrics
        assert 'llmops_thread_up{thread="samples"} 1.0' in metrics
        snapshot = (await http.get("/ops/snapshot")).json()
        assert snapshot["state"] == "degraded"
        assert snapshot["threads"] == {"events": False, "samples": True}
        assert "has ended" in snapshot["events_trouble"]
        assert (snapshot["events_waiting"], snapshot["events_dropped"]) == (1, 1)
