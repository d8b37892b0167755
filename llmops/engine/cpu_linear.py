"""Linear layers on a CPU in either order: weights times rows is rows times weights, transposed.

Where rows are few, torch's float32 product shares the one out among threads well and the other badly, or the other way
round: that depends on the processor and on how many rows there are (docs/decisions/0017). `engine/pace.py` tries both.
"""

from __future__ import annotations

import functools

import torch
from torch.nn.functional import linear


class LinearLayers:
    """Those of a model that may be computed in either order, from now on in the one that `weights_first` says.

    Only float32 on a CPU: other types go another way in torch, and quantised layers have one of their own.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.weights_first = False
        self.count = 0
        for module in model.modules():
            if type(module) is torch.nn.Linear and _is_eligible(module.weight):
                module.forward = functools.partial(self._product, module.weight, module.bias)  # type: ignore[method-assign]
                self.count += 1

    def _product(self, weight: torch.Tensor, bias: torch.Tensor | None, input: torch.Tensor) -> torch.Tensor:
        """input [..., in], weight [out, in], bias [out]: gives [..., out], contiguous."""
        rows = input.reshape(-1, input.size(-1))
        if not self.weights_first or rows.size(0) == 1:
            return linear(input, weight, bias)
        columns = rows.t()
        product = torch.mm(weight, columns) if bias is None else torch.addmm(bias.unsqueeze(-1), weight, columns)
        return product.t().contiguous().view(*input.shape[:-1], weight.size(0))


def _is_eligible(weight: torch.Tensor) -> bool:
    return weight.dtype == torch.float32 and weight.device.type == "cpu"
