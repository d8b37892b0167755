"""The memory that torch should have had at its peak, beside what it had."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import torch

from llmops.engine import transformers_engine
from llmops.engine.cache_plan import PAGE_SIZE, plan_cache
from llmops.engine.device_memory import DeviceMemory, forget_peak, memory_of
from llmops.engine.dials import EngineDials
from llmops.engine.peak import PeakArithmetic
from llmops.engine.transformers_engine import TransformersEngine
from llmops.fit.memory import need, step_bytes
from llmops.fit.model import Model
from tests.engine.answers import ask, text_of

CONFIG = {
    "model_type": "qwen3",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "vocab_size": 1000,
}
MEMORY = DeviceMemory(allocated=10, reserved=20, peak_allocated=30, peak_reserved=40)
PLAN = plan_cache(
    budget_bytes=1 << 20,
    kv_bytes_per_token=256,
    mask_bytes_per_cell=2,
    max_batch_tokens=64,
    max_running=4,
    model_len=99,
)


def arithmetic(*, quantization: str | None = None, compute_bytes: int = 2) -> PeakArithmetic:
    return PeakArithmetic(CONFIG, quantization, weights_bytes=5000, compute_bytes=compute_bytes)


def test_a_batch_is_weights_cache_and_the_largest_step() -> None:
    assert PLAN.held_bytes == PLAN.num_blocks * PAGE_SIZE * (256 + 2 * 64)
    model = Model(name="", config=CONFIG, source="")
    one, many = (step_bytes(model, "none", tokens=rows, answers=answers) for rows, answers in ((1, 1), (64, 4)))
    assert arithmetic().batched(PLAN, 1) == 5000 + PLAN.held_bytes + one
    assert arithmetic().batched(PLAN, 64) == 5000 + PLAN.held_bytes + many
    assert arithmetic(compute_bytes=4).batched(PLAN, 64) == 5000 + PLAN.held_bytes + 2 * many


@pytest.mark.parametrize("quantization", [None, "nf4", "int8", "gptq"])
def test_one_generation_is_what_fit_says_but_for_the_weights(quantization: str | None) -> None:
    scheme = "none" if quantization in (None, "gptq") else quantization
    found = need(Model(name="", config=CONFIG, source=""), scheme, prompt=50, answer=10)  # type: ignore[arg-type]
    assert arithmetic(quantization=quantization).alone(50, 10) == 5000 + found.torch - found.weights


def test_a_model_whose_config_lacks_a_size_is_not_predicted() -> None:
    unknown = PeakArithmetic({"model_type": "mamba"}, None, weights_bytes=1, compute_bytes=2)
    assert unknown.batched(PLAN, 8) is None
    assert unknown.alone(8, 8) is None


def test_a_processor_has_no_peak() -> None:
    forget_peak(torch.device("cpu"))
    assert memory_of(torch.device("cpu")) is None


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_an_engine_on_a_card_tells_both(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, one_by_one: bool
) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(device="cpu"), one_by_one=one_by_one)
    await engine.start()
    try:
        assert engine.stats().predicted_peak_bytes is None, "on a processor"
        monkeypatch.setattr(transformers_engine, "memory_of", lambda device: MEMORY)
        await text_of(engine, ask(engine, "a b c", max_tokens=4))
        short = engine.stats()
        assert (short.torch_allocated_bytes, short.torch_reserved_bytes) == (10, 20)
        assert (short.peak_allocated_bytes, short.peak_reserved_bytes) == (30, 40)
        await asyncio.gather(*(text_of(engine, ask(engine, "a b c " * 40, max_tokens=4)) for _ in range(2)))
        long = engine.stats().predicted_peak_bytes
        await text_of(engine, ask(engine, "a b c", max_tokens=4))
        again = engine.stats().predicted_peak_bytes
        assert short.predicted_peak_bytes is not None
        assert long is not None and again is not None
        assert short.predicted_peak_bytes == again < long, "of each busy period by itself"
    finally:
        await engine.stop()
