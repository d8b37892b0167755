"""Verdicts, the longest conversation, ranks, several cards, and a part of the weights in RAM."""

from __future__ import annotations

import dataclasses

import pytest

from llmops.fit.advice import offload, tensors_split
from llmops.fit.cards import Box
from llmops.fit.catalogue import RUNTIME_SCHEMES
from llmops.fit.errors import BadFit
from llmops.fit.memory import need
from llmops.fit.verdict import best, context_of, judge, judge_split, longest_context, rank, word_of
from tests.fit.known import KNOWN, box, model


@pytest.mark.parametrize(
    ("share", "word"),
    [(0.0, "comfortable"), (0.799, "comfortable"), (0.80, "tight"), (0.95, "tight"), (0.951, "risky"), (1.01, "no")],
)
def test_the_verdict_follows_from_the_share_of_free_memory(share: float, word: str) -> None:
    assert word_of(share) == word


def test_memory_that_somebody_else_took_counts() -> None:
    free = box("4090")
    taken = Box(dataclasses.replace(free.card, free_bytes=6 << 30))
    judged = [judge(model("Qwen2.5-7B"), "nf4", each, KNOWN.hosts, context=4096) for each in (free, taken)]
    assert [fit.word for fit in judged] == ["comfortable", "no"]
    assert judged[1].free_bytes == 6 << 30


@pytest.mark.parametrize("name", ["Qwen2.5-7B", "Llama-3.1-8B", "gemma-3-12b"])
def test_the_longest_context_fits_and_one_more_token_does_not(name: str) -> None:
    it, card = model(name), box("RTX 4070")
    longest = judge(it, "nf4", card, KNOWN.hosts, context=1024).longest
    assert judge(it, "nf4", card, KNOWN.hosts, context=longest).fits
    assert not judge(it, "nf4", card, KNOWN.hosts, context=longest + 1).fits


def test_the_longest_context_is_never_more_than_the_model_was_made_for_and_0_where_nothing_fits() -> None:
    assert longest_context(model("Llama-2-7b"), "nf4", box("H200")) == 4096
    assert longest_context(model("Llama-3.1-70B"), "none", box("4090")) == 0


def test_the_context_is_4096_or_all_that_the_model_has_or_what_is_asked() -> None:
    assert context_of(model("Qwen3-8B"), None) == 4096
    assert context_of(model("TinyLlama-1.1B"), None) == 2048
    assert context_of(model("Qwen3-8B"), 30_000) == 30_000
    with pytest.raises(BadFit, match=r"^--ctx 50000: Qwen/Qwen3-8B was made for 40960 tokens; give at most 40960\.$"):
        context_of(model("Qwen3-8B"), 50_000)


def test_the_best_is_the_most_exact_that_fits_or_the_smallest_where_none_does() -> None:
    def chosen(card: str) -> str:
        return best(
            judge(model("Qwen2.5-7B"), each, box(card), KNOWN.hosts, context=4096) for each in RUNTIME_SCHEMES
        ).scheme

    assert [chosen(card) for card in ("4090", "RTX 4070", "RTX 4060", "RTX 2060")] == [
        "none",
        "int8",
        "nf4",
        "nf4-double",
    ]


def test_a_ranking_has_what_fits_the_largest_first() -> None:
    found = rank(KNOWN.models, box("4090"), KNOWN.hosts, context=None, batch=1)
    assert all(fit.fits for fit in found)
    sizes = [fit.model.parameters for fit in found]
    assert sizes == sorted(sizes, reverse=True)
    assert found[0].model.parameters > 20e9


def test_a_ranking_can_ask_for_context_and_speed() -> None:
    long = rank(KNOWN.models, box("4090"), KNOWN.hosts, context=100_000, batch=1)
    assert {fit.context for fit in long} == {100_000}
    assert all((fit.model.shape.context or 0) >= 100_000 for fit in long)
    quick = rank(KNOWN.models, box("4090"), KNOWN.hosts, context=None, batch=1, at_least=60)
    assert quick
    assert all(fit.speed.high >= 60 for fit in quick)
    assert not rank(KNOWN.models, box("4090"), KNOWN.hosts, context=None, batch=1, at_least=1e6)


def test_layers_over_cards_share_weights_and_cache_but_not_activations() -> None:
    it, cards = model("Llama-3.1-70B"), box("2x3090")
    whole = need(it, "nf4", prompt=4096)
    fit = judge(it, "nf4", cards, KNOWN.hosts, context=4096)
    assert fit.split == "layers"
    assert whole.weights / 2 < fit.need.weights < whole.weights * 0.52
    assert fit.need.activations == whole.activations
    assert fit.need.context == whole.context
    assert fit.longest > longest_context(it, "nf4", box("3090"))


def test_tensors_over_cards_need_heads_that_divide() -> None:
    it, hosts = model("Llama-3.1-70B"), KNOWN.hosts
    split = tensors_split(judge(it, "nf4", box("4x3090"), hosts, context=4096), hosts)
    assert split is not None
    assert split.split == "tensors"
    assert split.need.weights < need(it, "nf4", prompt=4096).weights / 3
    assert tensors_split(judge(it, "nf4", box("3x3090"), hosts, context=4096), hosts) is None
    assert tensors_split(judge(it, "nf4", box("3090"), hosts, context=4096), hosts) is None
    with pytest.raises(BadFit, match=r"has 8 key-value heads, which 3 cards can't share evenly"):
        judge_split(it, "nf4", box("3x3090"), hosts, context=4096, split="tensors")


def test_weights_in_ram_make_it_fit_and_slow() -> None:
    fit = judge(model("Qwen2.5-7B"), "none", box("RTX 4070"), KNOWN.hosts, context=4096)
    left = offload(fit, KNOWN.hosts)
    assert left is not None
    assert fit.need.total - left.bytes == pytest.approx(0.95 * fit.free_bytes, rel=1e-6)
    assert left.speed.low < left.speed.high < fit.speed.low
    assert left.slower == pytest.approx(fit.speed.high / left.speed.high)


def test_weights_are_left_in_ram_only_where_that_helps_and_the_engine_can() -> None:
    def left(name: str, card: str, scheme: str = "none") -> object:
        chosen = next(each for each in RUNTIME_SCHEMES if each == scheme)
        return offload(judge(model(name), chosen, box(card), KNOWN.hosts, context=4096), KNOWN.hosts)

    assert left("Qwen2.5-7B", "4090") is None
    assert left("Llama-3.1-70B", "4090", "nf4") is None
    assert left("Llama-3.1-70B", "2x3090") is None
    assert (
        offload(
            judge(model("Llama-2-70b"), "none", box("GTX 1660 Super"), KNOWN.hosts, context=4096, batch=16), KNOWN.hosts
        )
        is None
    )
