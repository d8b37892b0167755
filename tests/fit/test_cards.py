"""Cards as people write them."""

from __future__ import annotations

import pytest

from llmops.fit.cards import box_of
from llmops.fit.errors import BadFit
from tests.fit.known import KNOWN


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("RTX 4070 12GB", "RTX 4070", 1), ("2x3090", "RTX 3090", 2), ("2 x RTX 3090", "RTX 3090", 2),
        ("4090", "RTX 4090", 1), ("NVIDIA GeForce RTX 4090", "RTX 4090", 1), ("a100-40gb", "A100 40GB", 1),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB", 1), ("4xA100 80GB", "A100 80GB", 4), ("T4", "T4", 1),
        ("4060 ti 16gb", "RTX 4060 Ti 16GB", 1), ("H100 80GB HBM3", "H100 SXM 80GB", 1), ("2×L40S", "L40S", 2),
        ("1080 ti", "GTX 1080 Ti", 1), ("8 * h200", "H200", 8),
    ],
)  # fmt: skip
def test_a_card_is_found_however_it_is_spelled(text: str, name: str, count: int) -> None:
    found = box_of(text, KNOWN.cards)
    assert (found.card.name, found.count) == (name, count)
    assert found.name == (name if count == 1 else f"{count} x {name}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("RTX 4071", "--gpu RTX 4071: no such card is known; did you mean RTX 4070?"),
        ("", "--gpu : no such card is known; `llmops fit --cards` lists those that are."),
        ("12GB", "--gpu 12GB: no such card is known; `llmops fit --cards` lists those that are."),
        ("RTX 4070 24GB", "--gpu RTX 4070 24GB: a RTX 4070 has 12 GB."),
        ("A100", '--gpu A100: there is more than one; give "A100 40GB" or "A100 80GB".'),
        ("0x3090", "--gpu 0x3090: give 1 to 64 cards."),
        ("99999999999999999999 x 3090", "--gpu 99999999999999999999 x 3090: give 1 to 64 cards."),
    ],
)
def test_what_is_no_card_gets_a_sentence_that_helps(text: str, sentence: str) -> None:
    with pytest.raises(BadFit) as raised:
        box_of(text, KNOWN.cards)
    assert str(raised.value) == sentence
    assert raised.value.slug == "unknown_gpu"


def test_every_card_of_the_catalogue_is_found_by_its_own_name_and_says_where_its_figures_are_from() -> None:
    for card in KNOWN.cards:
        assert box_of(card.name, KNOWN.cards).card == card
        assert all(box_of(each, KNOWN.cards).card == card for each in card.also)
        assert card.source
        assert 0 < card.free_bytes < card.memory_bytes
        assert card.memory_bytes / 2**30 == pytest.approx(card.sold_gb, rel=0.07)
