from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from llmops.engine import scoring
from llmops.engine.dials import EngineDials
from llmops.engine.loading import Loaded, load
from llmops.engine.scoring import score

TEXTS = {"en": "Continuous batching shares one forward pass between all who wait.", "zh": "你好，世界。" * 9}


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> Loaded:
    return load(str(tiny_folder), EngineDials(device="cpu"))


def test_perplexity_is_what_the_library_calls_loss(loaded: Loaded) -> None:
    scores, _ = score(loaded, TEXTS, None, lambda _: None)
    for name, text in TEXTS.items():
        ids = torch.tensor([loaded.tokenizer.encode(text)])
        loss = float(loaded.model(ids, labels=ids).loss.detach())
        assert scores.perplexity[name] == pytest.approx(math.exp(loss), rel=1e-4)


def test_a_long_text_is_read_in_windows_and_every_place_but_the_first_of_each_counts(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "WINDOW_TOKENS", 8)
    told: list[float] = []
    scores, choices = score(loaded, TEXTS, None, told.append)
    lengths = [len(loaded.tokenizer.encode(text)) for text in TEXTS.values()]
    windows = [min(8, length - start) for length in lengths for start in range(0, length, 8)]
    assert scores.tokens == sum(size - 1 for size in windows if size > 1)
    assert sum(len(chosen) for chosen in choices.choices.values()) == scores.tokens
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_model_agrees_with_itself(loaded: Loaded) -> None:
    scores, choices = score(loaded, TEXTS, None, lambda _: None)
    assert scores.agreement is scores.divergence is None
    again, _ = score(loaded, TEXTS, choices, lambda _: None)
    assert again.agreement == 1.0
    assert again.divergence == pytest.approx(0.0, abs=1e-5)
    assert again.weights_bytes == loaded.weights_bytes


def test_another_model_agrees_less_and_diverges_more(tiny_folder: Path, loaded: Loaded) -> None:
    _, choices = score(loaded, TEXTS, None, lambda _: None)
    other = load(str(tiny_folder), EngineDials(device="cpu"))
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    scores, _ = score(other, TEXTS, choices, lambda _: None)
    assert scores.agreement is not None
    assert scores.divergence is not None
    assert scores.agreement < 0.9
    assert scores.divergence > 0.05


def test_divergence_is_that_of_the_places_it_is_taken_at(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are evenly spread, whatever the windows."""
    monkeypatch.setattr(scoring, "_DIVERGENCE_PLACES", 4)
    monkeypatch.setattr(scoring, "WINDOW_TOKENS", 8)
    _, choices = score(loaded, TEXTS, None, lambda _: None)
    for name, kept in choices.distributions.items():
        places = len(choices.choices[name])
        assert len(kept) == math.ceil(places / (places // 4))
        assert kept.exp().sum(dim=-1).tolist() == pytest.approx([1.0] * len(kept), abs=1e-4)
