"""Each cause is told when the numbers show it, with those numbers, and not otherwise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from llmops.events.speed import StreamSpeed
from llmops.explain.contract import Record, median, share
from llmops.explain.oom import explain_oom, running_at
from llmops.explain.repetition import explain_repetition
from llmops.explain.slow import explain_slow
from llmops.explain.uneven import explain_uneven
from llmops.settings import Settings
from llmops.shell.explain import TOPICS
from tests.explain.asked import GIB, asked, card, causes, dials

FAILED: dict[str, Any] = {"outcome": "failure", "error_type": "oom"}
PHASES: dict[str, Any] = {"duration_s": 10.0, "queue_s": 0.1, "prefill_s": 0.1, "decode_s": 0.1, "ttft_s": 0.2}


@pytest.mark.parametrize("topic", TOPICS)
def test_an_empty_record_shows_nothing_and_says_what_would(topic: str) -> None:
    explanation = TOPICS[topic](Record())
    assert (explanation.topic, explanation.is_there, explanation.causes) == (topic, False, ())
    assert explanation.would_show


def test_oom_with_many_at_once_is_the_batch() -> None:
    crowd = asked(11, at=1000.0, duration_s=20.0, batch_size=2)
    failed = asked(1, at=990.0, duration_s=5.0, **FAILED)
    found = causes(explain_oom(Record(requests=(*crowd, *failed), max_running=16)))
    assert set(found) == {"batch"}
    assert found["batch"].standing == "shown"
    assert "at the failures 12 requests ran (median), at the answers 2" in found["batch"].evidence
    assert dials(found["batch"]) == {"engine.max_running", "engine.kv_cache_bytes"}
    assert found["batch"].requests == (failed[0].request_id,)


def test_oom_of_long_requests_is_the_context() -> None:
    failed = asked(3, input_tokens=9000, max_tokens=1000, **FAILED)
    record = Record(requests=(*asked(20, input_tokens=500, output_tokens=100), *failed))
    found = causes(explain_oom(record))
    assert set(found) == {"context"}
    assert [each.to for each in found["context"].turns if each.dial == "engine.max_model_len"] == ["600 or less"]


@pytest.mark.parametrize(
    ("memory", "name"),
    [
        ({"memory_used_bytes": 11 * GIB, "torch_reserved_bytes": 6 * GIB}, "other processes"),
        (
            {"memory_used_bytes": 11 * GIB, "torch_reserved_bytes": 10 * GIB, "torch_allocated_bytes": 6 * GIB},
            "fragmentation",
        ),
        (
            {"memory_used_bytes": 12 * GIB, "torch_reserved_bytes": 11.5 * GIB, "torch_allocated_bytes": 11 * GIB},
            "weights",
        ),
    ],
)
def test_oom_on_a_card_that_is_held_says_by_what(memory: dict[str, float], name: str) -> None:
    cards = (card(0.5, memory_limit_bytes=12 * GIB, **memory), card(0.1))
    record = Record(requests=tuple(asked(2, **FAILED)), cards=cards)
    assert set(causes(explain_oom(record))) == {name}


def test_oom_after_memory_that_is_not_given_back_is_a_leak() -> None:
    def held(count: int, residual: float, instance: str, at: float) -> list[Any]:
        peak = int((10 + residual) * GIB)
        return asked(count, at=at, instance=instance, predicted_peak_bytes=10 * GIB, peak_allocated_bytes=peak)

    before, begun, grown = held(30, 2.0, "a", 0.0), held(20, -0.1, "b", 100.0), held(20, 0.4, "b", 200.0)
    failed = asked(1, at=300.0, **FAILED)
    found = causes(explain_oom(Record(requests=(*before, *begun, *grown, *failed))))["leak"]
    assert found.standing == "shown"
    assert "-0.10 GiB in the first 20 requests of this serve, +0.40 GiB in the last 20" in found.evidence[0]
    for others in (begun, [*begun, *held(20, 0.0, "b", 200.0)], [*begun, *held(20, 0.4, "c", 200.0)]):
        assert "leak" not in causes(explain_oom(Record(requests=(*others, *failed))))


def test_oom_without_a_sign_is_not_guessed_at() -> None:
    explanation = explain_oom(Record(requests=tuple(asked(2, **FAILED))))
    assert explanation.summary.endswith("The record does not show why.")
    (cause,) = explanation.causes
    assert (cause.name, cause.standing) == ("not known", "fits")
    assert "engine.quantization" in dials(cause)
    quantized = explain_oom(Record(requests=tuple(asked(2, **FAILED)), quantization="nf4")).causes[0]
    assert "engine.quantization" not in dials(quantized), "it is quantised already"


def test_who_waits_does_not_run() -> None:
    waiting = asked(1, at=100.0, duration_s=50.0, queue_s=45.0)
    running = asked(1, at=100.0, duration_s=50.0, queue_s=0.0)
    assert running_at((*waiting, *running), 80.0) == 1


def test_repetition_under_cold_sampling_is_the_temperature() -> None:
    cold = asked(5, temperature=0.0, loop_detected=True) + asked(5, temperature=0.0, repetition_ratio=0.1)
    warm = asked(20, temperature=0.8, repetition_ratio=0.1)
    explanation = explain_repetition(Record(requests=(*cold, *warm)))
    found = causes(explanation)["temperature"]
    assert found.standing == "shown"
    assert found.evidence == ("below 0.7: 5 of 10 (50 %) repeat", "from 0.7 on: 0 of 20 (0 %) repeat")
    assert [(each.dial, each.to) for each in found.turns] == [("temperature", "0.7 to 1.0"), ("top_p", "0.9 to 0.95")]
    assert "5 of 30 (17 %) measured answers repeat themselves; 5 of them ended in a loop." in explanation.summary


def test_repetition_with_a_narrow_top_p_quantised_weights_or_no_end_says_so() -> None:
    stuck: dict[str, Any] = {"temperature": 0.8, "repetition_ratio": 0.9}
    well: dict[str, Any] = {"temperature": 0.8, "repetition_ratio": 0.1}
    for name, inside, outside in (
        ("top_p", {"top_p": 0.3}, {"top_p": 0.95}),
        ("quantization", {"quantization": "nf4"}, {"quantization": None}),
        ("no end", {"finish_reason": "length"}, {"finish_reason": "stop"}),
    ):
        requests = asked(4, **stuck | inside) + asked(9, **well | outside)
        assert set(causes(explain_repetition(Record(requests=tuple(requests))))) == {name}


def test_repetition_that_is_alike_everywhere_is_not_guessed_at() -> None:
    both = asked(5, temperature=0.0, loop_detected=True) + asked(5, temperature=0.8, loop_detected=True)
    explanation = explain_repetition(Record(requests=tuple(both)))
    assert explanation.summary.endswith("The record does not show why.")
    assert [each.name for each in explanation.causes] == ["not known"]
    few = explain_repetition(
        Record(requests=(*asked(2, temperature=0.0, loop_detected=True), *asked(20, temperature=0.8)))
    )
    assert [each.name for each in few.causes] == ["not known"], "two are no pattern"


def test_one_busy_card_beside_an_empty_one_is_the_device_map() -> None:
    cards = (card(0.9), card(0.0, memory=0.01))
    found = causes(explain_uneven(Record(cards=cards)))
    assert set(found) == {"model on one card"}
    assert "engine.device_map" in dials(found["model on one card"])
    found = causes(explain_uneven(Record(cards=cards, device_map="auto")))
    assert "engine.max_memory" in dials(found["model on one card"])


def test_a_card_that_is_held_back_slows_the_others() -> None:
    found = causes(explain_uneven(Record(cards=(card(0.95, throttled=0.6), card(0.4)))))
    assert set(found) == {"held back"}
    assert found["held back"].evidence == ("GPU 0 (card): in 60 % of its samples",)


def test_cards_that_take_turns_and_links_that_differ_only_fit() -> None:
    record = Record(cards=(card(0.5, active_links=4), card(0.45, active_links=2)), device_map="balanced")
    found = causes(explain_uneven(record))
    assert {name: each.standing for name, each in found.items()} == {"taking turns": "fits", "links": "fits"}


def test_cards_that_are_used_alike_need_no_cause() -> None:
    assert not explain_uneven(Record(cards=(card(0.9), card(0.85)), device_map="auto")).is_there
    assert not explain_uneven(Record(cards=(card(0.1), card(0.0)))).is_there
    open_one = explain_uneven(Record(cards=(card(0.9), card(0.2))))
    assert (open_one.is_there, open_one.causes, "llmops doctor" in open_one.would_show[0]) == (True, (), True)


def test_long_answers_on_a_slow_machine_are_named_with_its_speed() -> None:
    slow = asked(9, **PHASES | {"duration_s": 14.2, "decode_s": 13.9, "tpot_s": 1 / 14, "output_tokens": 194})
    record = Record(requests=tuple(slow), speed=StreamSpeed(output_tokens_per_s=14.0))
    told = causes(explain_slow(record))["decode"]
    assert told.says == "Writing takes most of it: the answers are long, and this machine writes 14 tokens/s."
    assert "an answer of 194 tokens that has the server to itself takes 13.9 s" in told.evidence
    assert dials(told) == {"max_tokens", "objectives.latency_threshold_s"}
    stalled = [dataclasses.replace(each, tpot_s=0.5) for each in slow]
    told = causes(explain_slow(dataclasses.replace(record, requests=tuple(stalled))))["decode"]
    assert told.says == "Writing takes most of it: long answers, and slower than usual."


@pytest.mark.parametrize("phase", ["queue", "prefill", "decode"])
def test_a_slow_answer_is_laid_at_the_phase_that_took_it(phase: str) -> None:
    slow = asked(
        4, **PHASES | {f"{phase}_s": 9.0, "input_tokens": 10, "output_tokens": 10, "tpot_s": 0.9, "batch_size": 16}
    )
    fast = asked(40, duration_s=0.5, tpot_s=0.01, input_tokens=10, output_tokens=10)
    explanation = explain_slow(Record(requests=(*slow, *fast)))
    assert explanation.summary == "4 of 44 (9 %) answers took longer than 3 s, or 2 s to the first token."
    found = causes(explanation)
    assert set(found) == {phase}
    assert f"{phase} 90 %" in found[phase].evidence[0]
    assert set(found[phase].requests) == {each.request_id for each in slow}


def test_slow_writing_is_told_from_long_answers() -> None:
    fast = asked(9, duration_s=0.5, tpot_s=0.01, output_tokens=50)
    long = asked(3, **PHASES | {"decode_s": 9.0, "tpot_s": 0.01, "output_tokens": 900})
    slow = asked(3, **PHASES | {"decode_s": 9.0, "tpot_s": 0.2, "output_tokens": 50})
    told = causes(explain_slow(Record(requests=(*fast, *long))))["decode"]
    assert (told.says, dials(told)) == ("Writing takes most of it: long answers.", {"max_tokens"})
    told = causes(explain_slow(Record(requests=(*fast, *slow), cards=(card(0.9, throttled=0.5),))))["decode"]
    assert told.says == "Writing takes most of it: slower than usual."
    assert dials(told) == {"engine.max_running", "engine.compile", "llmops doctor"}


def test_a_request_that_its_deadline_ended_is_slow() -> None:
    late = asked(2, duration_s=1.0, outcome="failure", error_type="timeout", queue_s=1.0, prefill_s=0.0, decode_s=0.0)
    explanation = explain_slow(Record(requests=tuple(late)))
    assert explanation.summary.endswith("2 of them longer than their deadline.")
    assert set(causes(explanation)) == {"queue"}


def test_time_that_no_phase_has_is_elsewhere_and_no_phases_are_said_to_be_missing() -> None:
    found = causes(explain_slow(Record(requests=tuple(asked(2, **PHASES)))))
    assert {name: each.standing for name, each in found.items()} == {"elsewhere": "fits"}
    bare = explain_slow(Record(requests=tuple(asked(2, duration_s=9.0))))
    assert (bare.is_there, bare.causes) == (True, ())
    assert "no phases" in bare.summary


def test_every_dial_that_is_named_is_there() -> None:
    sections = dict(Settings())
    records = [
        Record(requests=tuple(asked(3, **FAILED))),
        Record(requests=tuple(asked(3, loop_detected=True))),
        Record(requests=tuple(asked(3, loop_detected=True, finish_reason="length") + asked(9, repetition_ratio=0.0))),
        Record(requests=tuple(asked(3, loop_detected=True, quantization="nf4") + asked(9, repetition_ratio=0.0))),
        Record(cards=(card(0.9), card(0.0, memory=0.0))),
        Record(cards=(card(0.9), card(0.0, memory=0.0)), device_map="auto"),
        *(Record(requests=tuple(asked(2, **PHASES | {f"{each}_s": 9.0}))) for each in ("queue", "prefill", "decode")),
    ]
    named = {
        turn.dial
        for record in records
        for topic in TOPICS.values()
        for each in topic(record).causes
        for turn in each.turns
    }
    dotted = {each for each in named if "." in each}
    assert len(dotted) > 8
    for name in dotted:
        section, _, dial = name.partition(".")
        assert dial in type(sections[section]).model_fields, name


def test_shares_and_medians_of_nothing_are_told_plainly() -> None:
    assert (share(1, 4), share(0, 0)) == ("1 of 4 (25 %)", "0 of 0")
    assert (median([]), median([3.0, 1.0]), median([3.0, 1.0, 2.0])) == (None, 1.0, 2.0)


def test_a_wait_inside_the_engine_is_the_long_prompts_of_others_and_not_too_many_at_once() -> None:
    long = asked(1, duration_s=9.0, input_tokens=5000, queue_s=0.0, prefill_s=8.0, decode_s=1.0)
    waited = asked(3, duration_s=9.0, input_tokens=30, queue_s=8.0, engine_queue_s=7.5, prefill_s=0.5, decode_s=0.5)
    cause = causes(explain_slow(Record(requests=(*waited, *long))))["queue"]
    assert cause.says == "They wait in the engine while it reads the long prompts of others."
    assert f"5000 tokens that no cache had ({long[0].request_id})" in cause.evidence[-1]
    assert "engine.max_running" not in dials(cause)
