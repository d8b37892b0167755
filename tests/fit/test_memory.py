"""Memory part by part: cache bytes exactly, weights as the allocator holds them, and what grows with what."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.fit.allocator import held_bytes
from llmops.fit.memory import cache_bytes, cache_bytes_per_token, need, resident_bytes
from llmops.fit.model import Model
from llmops.fit.weights import Scheme, Tensor
from tests.fit.known import KNOWN, model

MIB = 1 << 20


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Llama-3.1-8B", 131_072), ("Qwen2.5-7B", 57_344), ("Qwen3-32B", 262_144), ("Llama-3.1-70B", 327_680),
        ("Llama-2-7b", 524_288), ("Qwen2.5-0.5B", 12_288), ("Qwen2.5-1.5B", 28_672), ("Qwen2.5-3B", 36_864),
        ("Qwen2.5-14B", 196_608), ("DeepSeek-V2-Lite", 27 * 576 * 2),
    ],
)  # fmt: skip
def test_a_token_in_the_cache_takes_exactly_its_bytes(name: str, expected: int) -> None:
    assert cache_bytes_per_token(model(name).shape) == expected
    assert cache_bytes(model(name).shape, 1) == expected


def test_qwen3_32b_keeps_8_gib_for_32768_tokens() -> None:
    assert cache_bytes(model("Qwen3-32B").shape, 32_768) == 8 << 30


def test_layers_with_a_window_forget_once_an_answer_begins() -> None:
    shape = model("gemma-3-27b-it").shape
    assert (shape.full_layers, shape.window_layers, shape.window) == (10, 52, 1024)
    each = shape.cache_width * 2
    assert cache_bytes(shape, 8192) == each * (10 * 8192 + 52 * 1024)
    assert cache_bytes(shape, 8192, windows=False) == each * 62 * 8192


@pytest.mark.parametrize(
    ("size", "held"),
    [
        (1, 512), (512, 512), (3 * MIB + 1, 3 * MIB + 512), (10 * MIB, 10 * MIB), (43 * MIB, 44 * MIB),
        (43 * MIB - 1, 43 * MIB - 1), (44 * MIB - 1, 44 * MIB),
    ],
)  # fmt: skip
def test_the_allocator_keeps_a_rest_of_up_to_1_mib(size: int, held: int) -> None:
    assert held_bytes(size) == held


def test_a_model_in_bfloat16_weighs_two_bytes_a_parameter_and_little_more() -> None:
    for each in KNOWN.models:
        assert 1 <= resident_bytes(each, "none") / (2 * each.parameters) < 1.04, each.name


SCHEMES: tuple[Scheme, ...] = ("none", "int8", "nf4", "nf4-double", "gptq-int4", "gptq-int8", "awq")


@given(
    st.sampled_from(KNOWN.models), st.sampled_from(SCHEMES), st.integers(1, 30_000), st.integers(0, 30_000),
    st.integers(1, 16),
)  # fmt: skip
def test_more_tokens_and_more_conversations_never_take_less(
    it: Model, scheme: Scheme, prompt: int, more: int, batch: int
) -> None:
    told = need(it, scheme, prompt=prompt, batch=batch)
    assert need(it, scheme, prompt=prompt + more, batch=batch).total >= told.total
    assert need(it, scheme, prompt=prompt, answer=more, batch=batch).total >= told.total
    assert need(it, scheme, prompt=prompt, batch=batch + 1).total >= told.total
    assert told.total == told.torch + told.context


def test_llm_int8_multiplies_into_int32_and_its_activations_show_it() -> None:
    it = model("Llama-3.1-8B")
    assert need(it, "int8", prompt=8192).activations > need(it, "none", prompt=8192).activations
    mixture = model("Qwen3-30B-A3B")  # its experts are not quantised
    assert need(mixture, "int8", prompt=8192).activations == need(mixture, "none", prompt=8192).activations


def test_a_short_prompt_in_4_bits_is_ruled_by_the_weight_that_is_made_whole() -> None:
    it = model("Llama-3.1-8B")
    told, plain = need(it, "nf4", prompt=16), need(it, "none", prompt=16)
    whole = 2 * it.largest_linear
    assert told.activations + told.dequantised >= plain.activations + 0.9 * whole
    assert need(it, "nf4", prompt=8192).activations == need(it, "none", prompt=8192).activations


def test_files_that_came_quantised_weigh_what_they_are() -> None:
    it = dataclasses.replace(model("Qwen3-8B"), stored_bytes=5 << 30)
    assert resident_bytes(it, "awq") == 5 << 30


def test_the_tensors_of_the_files_go_before_those_of_the_config() -> None:
    head, layer = Tensor("lm_head.weight", (8, 4)), Tensor("model.layers.0.mlp.up_proj.weight", (16, 4))
    tied = Model(name="", source="", config={"tie_word_embeddings": True}, files=(head, layer))
    assert tied.tensors == (layer,)
    assert tied.parameters == 64
    assert tied.largest_linear == 64
    assert Model(name="", source="", config={}, files=(head,)).largest_linear == 0
