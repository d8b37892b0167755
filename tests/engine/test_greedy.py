from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch

from llmops.engine.build import DEMO_MODEL
from llmops.engine.dials import EngineDials
from llmops.engine.live_loop import LiveLoop
from llmops.engine.sampling import Draw
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import ask

TOKENS = 16
_WORDS = ["cache", "memory", "queue", "alert", "token", "model", "prompt", "batch", "stream", "budget"]
QUESTIONS = [
    f"{how} the {word}?"
    for how in ("What is", "How large is", "When should I look at", "Why does llmops need", "Who set")
    for word in _WORDS
]


async def _tokens(live: LiveLoop, prompt: list[int]) -> list[int]:
    flow = live.begin(prompt, TOKENS, Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0))
    tokens: list[int] = []
    try:
        while True:
            arrival = await flow.next()
            tokens += arrival.tokens
            if arrival.is_last:
                return tokens
    finally:
        live.leave(flow)


@pytest.mark.usefixtures("one_thread")
async def test_50_greedy_answers_are_those_of_generate_token_by_token_alone_and_in_a_batch_of_8() -> None:
    from transformers import AutoModelForCausalLM

    engine = TransformersEngine(str(DEMO_MODEL), EngineDials(dtype="float32", max_running=8))
    await engine.start()
    try:
        live = engine._here()[1]
        assert isinstance(live, LiveLoop)
        prompts = [engine.encode(ask(engine, question).prompt) for question in QUESTIONS]
        together = await asyncio.gather(*[_tokens(live, prompt) for prompt in prompts])
        alone = [await _tokens(live, prompt) for prompt in prompts]
    finally:
        await engine.stop()
    reference: Any = AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32)
    expected = []
    for prompt in prompts:
        whole = reference.generate(torch.tensor([prompt]), max_new_tokens=TOKENS, do_sample=False)
        expected.append(whole[0, len(prompt) :].tolist())
    assert len(prompts) == 50
    assert alone == expected
    assert together == expected
