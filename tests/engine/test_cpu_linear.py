from __future__ import annotations

import pytest
import torch

from llmops.engine.cpu_linear import LinearLayers


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 5, 8), (1, 1, 8), (3, 8), (8,), (2, 3, 8)])
def test_either_order_gives_the_same_numbers(shape: tuple[int, ...], bias: bool) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 6, bias=bias), torch.nn.Linear(6, 4, bias=bias))
    rows = torch.randn(shape)
    with torch.no_grad():
        before = model(rows)
        layers = LinearLayers(model)
        assert layers.count == 2
        assert torch.equal(model(rows), before), "as it was until it is told otherwise"
        layers.weights_first = True
        after = model(rows)
    assert torch.allclose(after, before, atol=1e-6)
    assert after.shape == before.shape
    assert after.is_contiguous()


def test_the_latest_of_several_says_how() -> None:
    model = torch.nn.Linear(8, 6)
    LinearLayers(model).weights_first = True
    latest = LinearLayers(model)
    with torch.no_grad():
        rows = torch.randn(5, 8)
        assert torch.equal(model(rows), torch.nn.functional.linear(rows, model.weight, model.bias))
        latest.weights_first = True
        assert torch.allclose(model(rows), torch.nn.functional.linear(rows, model.weight, model.bias), atol=1e-6)


class Quantised(torch.nn.Linear):
    """A layer that computes its product by itself."""


def test_other_types_and_other_layers_are_left_alone() -> None:
    assert LinearLayers(torch.nn.Linear(8, 6).to(torch.bfloat16)).count == 0
    assert LinearLayers(Quantised(8, 6)).count == 0
    assert LinearLayers(torch.nn.LayerNorm(8)).count == 0
