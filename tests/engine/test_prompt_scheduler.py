"""Short prompts are read before the rest of long ones, and long ones are read all the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching.requests import RequestState

from llmops.engine import prompt_scheduler
from llmops.engine.sampling import Draw

CHANCE = random.Random(3)


class Loop:
    """The library's loop over a tiny model, one step at a call."""

    def __init__(self, folder: Path, blocks: int = 100) -> None:
        prompt_scheduler.install()
        model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").eval()  # type: ignore[no-untyped-call]
        self.model = model
        manager = model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0),  # type: ignore[no-untyped-call]
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=32,
                num_blocks=blocks,
                max_batch_tokens=256,
                default_compile_level=0,
                scheduler_type=prompt_scheduler.NAME,
            ),
        )
        self.processor = manager._create_batch_processor()
        self.clock_s = 100.0
        self.processor.scheduler._clock = lambda: self.clock_s

    def add(self, name: str, prompt: int | list[int], tokens: int = 1) -> RequestState:
        ids = prompt if isinstance(prompt, list) else [CHANCE.randrange(4, 300) for _ in range(prompt)]
        draw = Draw(temperature=0.0, top_k=0, top_p=1.0, seed=0)
        state = RequestState(
            request_id=name,
            initial_tokens=ids,
            max_new_tokens=tokens,
            eos_token_id=-1,
            logit_processor_kwargs={"draw": draw},
            created_time=self.clock_s,
        )
        self.processor.scheduler.add_waiting_request(state)
        return state

    def step(self, took_s: float = 1.0) -> dict[str, int]:
        """Rows of each request in the step."""
        if not self.processor.prepare_next_batch():
            return {}
        rows = {
            each.state.request_id: each.query_length for each in self.processor.inputs_and_outputs.requests_in_batch
        }
        self.processor._generation_step(self.model)
        self.processor.update_batch()
        self.clock_s += took_s
        return rows

    def run(self) -> list[dict[str, int]]:
        """All steps to the end."""
        steps = []
        while rows := self.step():
            steps.append(rows)
            assert len(steps) < 2000
        return steps


@pytest.fixture
def loop(tiny_folder: Path, one_thread: None) -> Iterator[Loop]:
    yield Loop(tiny_folder)


def test_a_short_prompt_that_comes_later_is_read_in_the_next_step(loop: Loop) -> None:
    loop.add("long", 400)
    assert loop.step() == {"long": 64}
    loop.add("short", 20)
    assert loop.step() == {"short": 20}
    assert "long" in loop.step()


def test_a_long_prompt_gets_every_second_step_beside_a_stream_of_short_ones(loop: Loop) -> None:
    loop.add("long", 400)
    long_rows = []
    for number in range(40):
        loop.add(f"short {number}", 20)
        long_rows.append(loop.step().get("long", 0))
        if sum(long_rows) == 400:
            break
    assert sum(long_rows) == 400
    assert all(first or second for first, second in itertools.pairwise(long_rows))


def test_answers_that_are_being_written_have_a_token_in_each_step(loop: Loop) -> None:
    loop.add("writing", 5, tokens=30)
    loop.step()
    loop.add("long", 400)
    loop.add("other", 300)
    for _ in range(10):
        assert loop.step()["writing"] == 1


def test_prompts_that_fit_into_one_step_are_read_in_one(loop: Loop) -> None:
    for number in range(4):
        loop.add(f"r{number}", 15)
    assert loop.step() == {f"r{number}": 15 for number in range(4)}


def test_parts_get_smaller_with_the_context_that_they_attend_to(loop: Loop) -> None:
    loop.add("long", 480)
    parts = [rows["long"] for rows in loop.run()]
    assert parts[0] == 64
    assert parts[:-1] == sorted(parts[:-1], reverse=True)
    assert parts[-2] >= 16
    assert sum(parts) == 480


def test_a_prompt_whose_beginning_is_in_the_cache_counts_as_what_is_left_of_it(loop: Loop) -> None:
    shared = [CHANCE.randrange(4, 300) for _ in range(384)]
    loop.add("before", [*shared, 5])
    loop.run()
    loop.add("other", 100)
    loop.add("again", [*shared, 6, 7])
    rows = loop.step()
    assert rows.keys() == {"again"}
    assert rows["again"] < 2 + 64  # the library shares whole pages, and not always the last one


def test_the_wait_behind_other_prompts_is_counted_and_the_own_reading_is_not(loop: Loop) -> None:
    long = loop.add("long", 128)
    loop.step(took_s=2.0)
    short = loop.add("short", 20)
    loop.clock_s += 0.5
    loop.step(took_s=4.0)
    loop.run()
    assert short.logit_processor_kwargs["draw"].waited_s == pytest.approx(0.5)
    assert long.logit_processor_kwargs["draw"].waited_s == pytest.approx(4.0)


@pytest.mark.parametrize("seed", range(6))
def test_every_prompt_is_answered_where_the_cache_is_short(tiny_folder: Path, one_thread: None, seed: int) -> None:
    chance = random.Random(seed)
    loop = Loop(tiny_folder, blocks=20)
    for number in range(8):
        loop.add(f"r{number}", chance.randrange(1, 450), tokens=3)
        loop.step()
    loop.run()
    outputs = loop.processor.output_router.output_queue
    answers = {each.request_id: len(each.generated_tokens) for each in (outputs.get() for _ in range(outputs.qsize()))}
    assert answers == {f"r{number}": 3 for number in range(8)}
