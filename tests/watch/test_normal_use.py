"""A slow machine in normal use wakes nobody up; the same machine when it is really slower does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.events import Document
from llmops.events.names import timestamp
from llmops.events.speed import StreamSpeed
from llmops.inference.speed import SpeedEstimate
from llmops.inference.warmup import speed_event
from llmops.overview.objectives import objectives_of
from llmops.settings import ObjectiveSettings
from llmops.slo import Guard
from llmops.store import open_store
from llmops.watching.judging import Judge
from tests.store.events import document, request
from tests.watch.looks import NOW, Bench

SPEED = StreamSpeed(output_tokens_per_s=14.0, input_tokens_per_s=200.0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    yield made
    made.close()


def judged_by(bench: Bench, settings: ObjectiveSettings) -> None:
    bench.watch._judge = Judge(bench.store, objectives_of(settings), Guard())


def measured(speed: StreamSpeed = SPEED) -> Document:
    return document(speed_event(speed, at=NOW - 600, trigger="start", default_max_tokens=512))


def answers(count: int, *, slower: float = 1.0, before_s: float = 0.0) -> list[Document]:
    """Of 20 to 300 tokens, one after the other, so many times slower than alone; the newest ended so long ago."""
    estimate = SpeedEstimate()
    estimate.measured(SPEED)
    made = []
    for n in range(count):
        tokens = 20 + 280 * n // count
        alone_s, limit_s = SPEED.duration_s(40, tokens), estimate.limit_s(40, tokens)
        assert alone_s is not None
        assert limit_s is not None
        took_s = slower * alone_s
        made.append(
            request(
                NOW - before_s - (count - n),
                duration_s=took_s,
                ttft_s=slower * 0.2,
                input_tokens=40,
                output_tokens=tokens,
                duration_limit_s=limit_s,
                over_limit=took_s > limit_s,
            )
        )
    return made


@pytest.mark.parametrize("slower", [1.0, 2.5])
def test_normal_use_of_a_slow_machine_pages_nobody(
    bench: Bench, slower: float, caplog: pytest.LogCaptureFixture
) -> None:
    judged_by(bench, ObjectiveSettings())
    bench.write([measured(), *answers(60, slower=slower)])
    bench.looks(60)
    assert bench.told() == []
    assert caplog.text.count("latency: not attainable here") == 1
    assert "set latency_threshold_s = " in caplog.text


def test_a_machine_that_is_slower_than_it_can_be_pages_by_length_and_is_well_again_later(bench: Bench) -> None:
    judged_by(bench, ObjectiveSettings())
    bench.write([measured(), *answers(20, before_s=400.0), *answers(10, slower=8.0)])
    bench.looks(5)
    assert [each for each in bench.told() if "latency" in each] == []
    assert "firing slo.speed.page" in bench.told()
    bench.now += 1200.0
    later = [timestamp(bench.now - n) for n in range(300)]
    bench.write([each | {"@timestamp": at} for each, at in zip(answers(300), later, strict=True)])
    bench.looks(400)
    assert "resolved slo.speed.page" in bench.told()


def test_without_a_measured_speed_the_fixed_limit_pages_as_ever(bench: Bench) -> None:
    judged_by(bench, ObjectiveSettings())
    bench.write([measured(StreamSpeed()), *answers(60)])
    bench.looks(5)
    assert "firing slo.latency.page" in bench.told()


@pytest.mark.parametrize("settings", [{"latency_threshold_s": 3.0}, {"latency_target": 0.99}])
def test_a_limit_that_was_written_pages_and_says_that_it_cannot_be_kept(
    bench: Bench, settings: dict[str, float]
) -> None:
    judged_by(bench, ObjectiveSettings(**settings))
    bench.write([measured(), *answers(60)])
    bench.looks(5)
    (page,) = [note for note in bench.ear.heard if note.first.rule_id == "slo.latency.page"]
    assert "not attainable here: " in page.first.reason


def test_a_serve_that_starts_beside_its_watch_gets_a_minute_and_no_more(bench: Bench) -> None:
    bench.serve_is_gone()
    bench.watch._start_for_s = 60.0
    bench.looks(50)
    assert bench.told() == []
    bench.looks(20)
    assert bench.told() == ["firing serve_down"]


def test_a_serve_that_has_answered_is_missed_after_seconds(bench: Bench) -> None:
    bench.watch._start_for_s = 60.0
    bench.looks(3)
    bench.serve_is_gone()
    bench.looks(8)
    assert bench.told() == ["firing serve_down"]
