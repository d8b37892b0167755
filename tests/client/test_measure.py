from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.client import ChatChunk, time_chat
from llmops.client.measure import Stopwatch


async def _stream(chunks: Sequence[ChatChunk]) -> AsyncIterator[ChatChunk]:
    for chunk in chunks:
        yield chunk


async def test_the_figures_are_vllms() -> None:
    chunks = [
        ChatChunk(text="", received_at=10.1, request_id="r"),
        ChatChunk(text="a", received_at=10.5, request_id="r"),
        ChatChunk(text="bc", received_at=10.7, request_id="r"),
        ChatChunk(text="d", received_at=11.0, request_id="r"),
        ChatChunk(text="", received_at=11.0, finish_reason="stop", request_id="r"),
        ChatChunk(text="", received_at=19.0, input_tokens=5, output_tokens=6, request_id="r"),
    ]
    timing = await time_chat(_stream(chunks), started_at=10.0)
    assert timing.ttft_s == pytest.approx(0.5)
    assert timing.e2e_s == pytest.approx(1.0)
    assert timing.tpot_s == pytest.approx(0.5 / 5)
    assert timing.itl_s == pytest.approx((0.2, 0.3))
    assert (timing.tokens, timing.input_tokens, timing.text) == (6, 5, "abcd")
    assert (timing.finish_reason, timing.request_id) == ("stop", "r")


async def test_an_answer_without_text_has_no_first_token() -> None:
    timing = await time_chat(_stream([]), started_at=3.0)
    assert (timing.ttft_s, timing.tpot_s, timing.itl_s, timing.e2e_s, timing.tokens) == (None, None, (), 0.0, 0)


def test_one_token_has_no_time_per_output_token() -> None:
    watch = Stopwatch(0.0)
    watch.see(ChatChunk(text="a", received_at=1.0))
    assert watch.timing().tpot_s is None


@given(st.lists(st.floats(0.0, 9.0), min_size=2, max_size=20))
def test_gaps_and_first_token_add_up_to_the_whole(steps: list[float]) -> None:
    watch, now = Stopwatch(100.0), 100.0
    for step in steps:
        now += step
        watch.see(ChatChunk(text="x", received_at=now))
    timing = watch.timing()
    assert timing.ttft_s is not None and timing.tpot_s is not None
    assert timing.ttft_s + sum(timing.itl_s) == pytest.approx(timing.e2e_s)
    assert timing.tpot_s * (timing.tokens - 1) + timing.ttft_s == pytest.approx(timing.e2e_s)
