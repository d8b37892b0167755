"""Our attention gives what the library's own gives, whatever shares the step."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from llmops.engine import cpu_attention


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    ALL_ATTENTION_FUNCTIONS["sdpa"] = sdpa_attention_forward


def answers(folder: Path, prompts: list[list[int]], tokens: int, max_batch_tokens: int) -> list[list[int]]:
    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").eval()  # type: ignore[no-untyped-call]
    manager = model.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0),  # type: ignore[no-untyped-call]
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=32, num_blocks=100, max_batch_tokens=max_batch_tokens, default_compile_level=0
        ),
    )
    manager.start()
    try:
        for number, prompt in enumerate(prompts):
            manager.add_request(prompt, request_id=f"r{number}", max_new_tokens=tokens, eos_token_id=-1)
        finished: dict[str, list[int]] = {}
        while len(finished) < len(prompts):
            output = manager.get_result(timeout=20)
            assert output is not None
            assert output.error is None
            finished[output.request_id] = list(output.generated_tokens)
    finally:
        manager.stop(block=True)
    return [finished[f"r{number}"] for number in range(len(prompts))]


@pytest.mark.parametrize("max_batch_tokens", [16, 256])
def test_prompts_of_all_lengths_whole_and_in_parts_are_answered_as_by_the_library(
    tiny_folder: Path, max_batch_tokens: int
) -> None:
    chance = random.Random(7)
    shared = [chance.randrange(4, 60) for _ in range(70)]
    prompts = [[chance.randrange(4, 60) for _ in range(length)] for length in (1, 2, 31, 32, 33, 90)]
    prompts += [shared, [*shared, 5], [*shared[:64], 9, 9]]  # their beginnings come out of the cache
    theirs = answers(tiny_folder, prompts, 12, max_batch_tokens)
    cpu_attention.install()
    assert answers(tiny_folder, prompts, 12, max_batch_tokens) == theirs


def test_outside_the_batch_loop_the_librarys_own_attention_answers(tiny_folder: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_folder, attn_implementation="sdpa").eval()  # type: ignore[no-untyped-call]
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = model(ids).logits
        cpu_attention.install()
        assert torch.equal(model(ids).logits, before)


def test_generations_of_very_different_lengths_are_answered_as_by_the_library(tiny_folder: Path) -> None:
    chance = random.Random(11)
    prompts = [[chance.randrange(4, 60) for _ in range(length)] for length in (3, 450, 5, 7, 300, 280, 9, 11)]
    theirs = answers(tiny_folder, prompts, 12, 256)
    cpu_attention.install()
    assert answers(tiny_folder, prompts, 12, 256) == theirs


def test_rows_share_a_call_until_padding_costs_more_than_a_call() -> None:
    lengths = [4885, 100, 90, 120, 110, 95, 105, 2000]
    parts = cpu_attention._alike([(length, row, 0) for row, length in enumerate(lengths)])
    assert [[length for length, _, _ in part] for part in parts] == [[90, 95, 100, 105, 110, 120], [2000], [4885]]
    for part in parts:
        assert sum(part[-1][0] - length for length, _, _ in part) <= cpu_attention._CELLS_OF_A_CALL


def test_cells_next_to_each_other_are_read_where_they_lie() -> None:
    span = torch.tensor([*range(100, 900), 7, 8, *range(2000, 2512), 5, 6])
    runs, rest = cpu_attention._runs(span)
    assert runs == [slice(100, 900), slice(2000, 2512)]
    assert sorted(rest.tolist()) == [5, 6, 7, 8]
    assert cpu_attention._runs(torch.tensor([4]))[1].tolist() == [4]
    assert cpu_attention._runs(torch.arange(700))[1].tolist() == [699]


def test_a_conversation_in_runs_of_cells_is_answered_as_by_the_library(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_attention, "_RUN", 40)
    chance = random.Random(13)
    prompts = [[chance.randrange(4, 60) for _ in range(length)] for length in (900, 3, 500, 4)]
    theirs = answers(tiny_folder, prompts, 40, 64)  # others get cells in between while these are read
    cpu_attention.install()
    assert answers(tiny_folder, prompts, 40, 64) == theirs
