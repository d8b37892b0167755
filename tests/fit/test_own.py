"""A box's own runs come before what is known of other hosts."""

from __future__ import annotations

import dataclasses

import pytest

from llmops.fit.own import Measured, own_hosts
from llmops.fit.pace import HERE, Speed, speed_of
from tests.fit.known import KNOWN, box, model

SMALL, LARGE = "Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-14B-Instruct"
CARD = box("A100 80GB")
REAL = dataclasses.replace(CARD, is_simulated=False)


def told(*runs: Measured, name: str = LARGE) -> Speed:
    hosts = {**KNOWN.hosts, **own_hosts(runs, KNOWN.models, CARD.card)}
    return speed_of(model(name), "none", REAL, hosts, tokens=1)


def test_one_run_of_a_small_model_predicts_a_large_one() -> None:
    found = told(Measured(SMALL, "none", 24 * 0.5e-3))
    assert (found.basis, found.runs, found.error) == ("calibrated here", 1, 0.0)
    assert found.low < 1 / (48 * 0.5e-3) < found.high


def test_the_model_itself_is_told_as_it_was_measured() -> None:
    found = told(Measured(SMALL, "none", 0.012), Measured(LARGE, "none", 0.030))
    assert (found.basis, found.runs) == ("measured here", 1)
    assert found.low == pytest.approx(1 / (0.030 * 1.05))
    assert found.high == pytest.approx(1.05 / 0.030)


def test_runs_that_disagree_widen_the_range_and_say_so() -> None:
    found = told(Measured(SMALL, "none", 24e-3), Measured("Qwen/Qwen2.5-3B-Instruct", "none", 72e-3))
    assert found.runs == 2
    assert found.error == pytest.approx(1.0)
    assert found.high > 3 * found.low


def test_the_newest_run_of_a_model_counts_and_unknown_models_teach_nothing() -> None:
    hosts = own_hosts(
        [
            Measured("mine", "none", 1.0),
            *(Measured(SMALL, "none", it) for it in (0.024, 9.0)),
            Measured(LARGE, "nf4", 0),
        ],
        KNOWN.models,
        CARD.card,
    )
    assert {name for name, _ in hosts} == {HERE, f"{HERE} {SMALL}"}
    assert hosts[HERE, "none"].layer_s == pytest.approx(0.001)


def test_a_card_that_hides_its_bandwidth_is_calibrated_by_launches() -> None:
    card = dataclasses.replace(CARD.card, bandwidth=0.0)
    assert own_hosts([Measured(LARGE, "none", 0.048)], KNOWN.models, card)[HERE, "none"].layer_s == pytest.approx(0.001)


def test_a_run_from_a_folder_that_bears_the_models_name_is_one_of_it() -> None:
    assert told(Measured("Qwen2.5-14B-Instruct", "none", 0.030)).basis == "measured here"
    assert told(Measured("Qwen2.5-0.5B-Instruct", "none", 0.012)).basis == "calibrated here"
