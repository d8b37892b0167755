"""Speed: what one run teaches about a host, and what it can't teach."""

from __future__ import annotations

import dataclasses

import pytest

from llmops.fit.cards import Box
from llmops.fit.pace import HERE, speed_of
from llmops.fit.speed import USUAL_EFFICIENCY, Pace, Run, calibrate, read_bytes
from llmops.fit.weights import Scheme
from tests.fit.known import KNOWN, box, model


def run(layers: int, read: float, step_s: float) -> Run:
    return Run(layers=layers, read_bytes=int(read), bandwidth=1e12, step_s=step_s)


def test_a_slow_step_that_reads_little_tells_of_launches() -> None:
    pace = calibrate([run(32, 1e9, 0.032)])
    assert pace.layer_s == pytest.approx(0.001)
    assert (pace.efficiency, pace.runs, pace.error) == (USUAL_EFFICIENCY, 1, 0.0)
    assert pace.step_s(64, 1_000, 1e12) == pytest.approx(0.064)
    assert pace.step_s(32, int(71e9), 1e12) == pytest.approx(0.1)


def test_a_step_at_the_speed_of_memory_tells_of_that_only() -> None:
    pace = calibrate([run(32, 16e9, 0.020)])
    assert pace.layer_s is None
    assert pace.efficiency == pytest.approx(0.8)
    assert pace.step_s(1, int(8e9), 1e12) == pytest.approx(0.010)


def test_several_runs_predict_each_other_and_the_worst_miss_is_told() -> None:
    pace = calibrate([run(10, 1e6, 0.010), run(20, 1e6, 0.022), run(30, 1e6, 0.030)])
    assert pace.runs == 3
    assert pace.layer_s == pytest.approx(0.001)
    assert pace.error == pytest.approx(1 - 1.0 / 1.1, rel=1e-6)


def test_a_card_of_unknown_bandwidth_is_judged_by_launches_alone() -> None:
    assert calibrate([run(10, 1e6, 0.01)]).step_s(10, 10**12, 0.0) == pytest.approx(0.01)


def test_a_step_reads_no_embedding_table_but_a_tied_one_and_of_experts_the_chosen() -> None:
    it = model("Llama-3.1-8B")
    assert read_bytes(it, "none") == 2 * (it.parameters - 128_256 * 4096)
    tied = model("Qwen2.5-0.5B")
    assert read_bytes(tied, "none") == 2 * tied.parameters
    mixture = model("Qwen3-30B-A3B")
    assert read_bytes(mixture, "none") / 2e9 == pytest.approx(3.0, abs=0.1)
    assert read_bytes(mixture, "none", batch=1000) > 17 * read_bytes(mixture, "none") / 2
    assert read_bytes(it, "none", tokens=1000, batch=2) - read_bytes(it, "none") == 2 * 131_072_000
    assert read_bytes(dataclasses.replace(it, stored_bytes=7), "awq") == 7


def speed(card: str, name: str, scheme: Scheme = "none", *, here: bool = False) -> tuple[float, float, str]:
    it = box(card)
    hosts = dict(KNOWN.hosts)
    if here:
        it = dataclasses.replace(it, is_simulated=False)
        hosts[HERE, scheme] = Pace(layer_s=0.001, efficiency=0.8, runs=2, error=0.2)
    found = speed_of(model(name), scheme, it, hosts, tokens=1024)
    assert found.low <= found.middle <= found.high
    return found.low, found.high, found.basis


def test_the_basis_is_this_box_then_the_same_card_elsewhere_then_its_data() -> None:
    assert speed("4090", "Llama-3.1-8B", here=True)[2] == "calibrated here"
    assert speed("4090", "Llama-3.1-8B")[2] == "table"
    assert speed("3090", "Llama-3.1-8B")[2] == "roofline"


def test_what_is_simulated_is_not_this_box() -> None:
    hosts = {**KNOWN.hosts, (HERE, "none"): Pace(layer_s=1.0, efficiency=0.8, runs=1, error=0.0)}
    simulated = speed_of(model("Qwen3-8B"), "none", box("3090"), hosts, tokens=1)
    assert simulated == speed_of(model("Qwen3-8B"), "none", box("3090"), KNOWN.hosts, tokens=1)


@pytest.mark.parametrize(
    ("card", "name", "scheme", "measured"),
    [
        ("4090", "Llama-3.1-8B", "nf4", 67.71), ("4090", "Llama-3.1-8B", "none", 47.46),
        ("H100 SXM 80GB", "Llama-3.1-8B", "int8", 12.24), ("A100 80GB", "Qwen2.5-14B", "none", 24.74),
    ],
)  # fmt: skip
def test_published_runs_lie_in_their_ranges(card: str, name: str, scheme: Scheme, measured: float) -> None:
    low, high, basis = speed(card, name, scheme)
    assert low < measured < high
    assert basis == "table"


def test_a_small_model_on_a_quick_card_waits_for_launches_that_another_way_of_storing_told_of() -> None:
    """In bfloat16 the one published run on the RTX 4090 waited for memory."""
    _, high, _ = speed("4090", "Llama-3.2-1B")
    assert high < 1 / (16 * 0.00046 * 0.7)


def test_tensors_over_cards_read_less_and_wait_for_each_other() -> None:
    it = model("Llama-3.1-70B")
    cards = Box(box("3090").card, 4)
    together = speed_of(it, "none", cards, KNOWN.hosts, tokens=1, split="tensors")
    in_turn = speed_of(it, "none", cards, KNOWN.hosts, tokens=1, split="layers")
    assert in_turn.high < together.high < 4 * in_turn.high
