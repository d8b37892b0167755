from __future__ import annotations

import torch

from llmops.engine.noise import _filtered, _mix, gumbel
from llmops.engine.sampling import Draw


def _keys(count: int) -> torch.Tensor:
    draws = [Draw(temperature=1.0, top_k=0, top_p=1.0, seed=seed) for seed in range(count)]
    return torch.tensor([draw.key(17) for draw in draws], dtype=torch.int32)


def _vocabulary(size: int) -> torch.Tensor:
    return _mix(torch.arange(1, size + 1, dtype=torch.int32))


def test_drawing_by_noise_has_the_distribution_of_the_softmax() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -3.0])
    drawn = (logits + gumbel(_keys(40_000), _vocabulary(5))).argmax(dim=-1).bincount(minlength=5) / 40_000
    assert torch.allclose(drawn, logits.softmax(dim=-1), atol=0.01)


def test_noise_has_mean_and_variance_of_a_gumbel_and_no_infinities() -> None:
    noise = gumbel(_keys(2_000), _vocabulary(500))
    assert torch.isfinite(noise).all()
    assert abs(noise.mean().item() - 0.5772) < 0.01
    assert abs(noise.var().item() - 1.6449) < 0.02


def test_neighbouring_positions_and_seeds_have_unrelated_noise() -> None:
    draw = Draw(temperature=1.0, top_k=0, top_p=1.0, seed=1)
    keys = torch.tensor([draw.key(position) for position in range(50)], dtype=torch.int32)
    between = torch.corrcoef(gumbel(keys, _vocabulary(4_000))) - torch.eye(50)
    assert between.abs().max().item() < 0.1


def test_top_k_then_top_p_keep_what_they_should_for_each_row() -> None:
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]] * 4).log()
    top_k = torch.tensor([2, 0, 0, 3], dtype=torch.int32)
    top_p = torch.tensor([1.0, 0.6, 0.01, 0.5])
    kept = torch.isfinite(_filtered(scores, top_k, top_p)).sum(dim=-1)
    assert kept.tolist() == [2, 2, 1, 1]
