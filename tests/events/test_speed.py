"""The speed of one answer: what follows from it, and its line in the log."""

from __future__ import annotations

import pytest

from llmops.events import BenchmarkEvent
from llmops.events.speed import SUITE, StreamSpeed


def test_a_request_alone_takes_the_time_of_its_prompt_and_of_its_answer() -> None:
    speed = StreamSpeed(output_tokens_per_s=10.0, input_tokens_per_s=100.0)
    assert speed.duration_s(50, 20) == 2.5
    assert speed.prompt_s(50) == 0.5
    assert StreamSpeed(output_tokens_per_s=10.0).duration_s(50, 20) == 2.0
    assert StreamSpeed(input_tokens_per_s=100.0).duration_s(50, 20) is None


@pytest.mark.parametrize(
    ("speed", "sentence"),
    [
        (StreamSpeed(), "the speed of one answer is not known yet"),
        (StreamSpeed(14.2), "expected 14 tokens/s for one answer"),
        (StreamSpeed(1.42, 2100.0), "expected 1.4 tokens/s for one answer, 2,100 tokens/s of prompt"),
    ],
)
def test_the_speed_is_one_clause_of_a_log_line_and_of_its_event(speed: StreamSpeed, sentence: str) -> None:
    assert speed.sentence() == sentence
    event = BenchmarkEvent(
        at=0.0,
        benchmark_id="b",
        suite=SUITE,
        output_tokens_per_s=speed.output_tokens_per_s,
        input_tokens_per_s=speed.input_tokens_per_s,
    )
    assert (event.message(), event.level()) == (sentence, "DEBUG")
