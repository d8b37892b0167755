"""RMS norms as one operator instead of six: on a CPU the steps between them cost more than the sums."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn.functional import rms_norm

_CLOSE = 1e-6


def fuse_norms(model: torch.nn.Module) -> int:
    """Replace the `forward` of every norm that the operator gives the same numbers for; gives how many.

    Only in float32: in half precision models round between the six steps, each family in its own place.
    """
    is_same: dict[type, bool] = {}
    fused = 0
    for module in model.modules():
        operator = _operator_of(module)
        if operator is None:
            continue
        kind = type(module)
        if kind not in is_same:
            is_same[kind] = _gives_the_same(module, operator)
        if is_same[kind]:
            module.forward = operator
            fused += 1
    return fused


def _operator_of(module: Any) -> Any:
    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if not type(module).__name__.endswith("RMSNorm") or not isinstance(weight, torch.Tensor) or epsilon is None:
        return None
    if weight.dtype != torch.float32 or weight.device.type != "cpu":
        return None
    return functools.partial(rms_norm, normalized_shape=tuple(weight.shape), weight=weight, eps=float(epsilon))


def _gives_the_same(module: torch.nn.Module, operator: Any) -> bool:
    """Some families add one to the weight, or norm in groups: only a trial tells."""
    trial = torch.linspace(-3.0, 3.0, 4 * module.weight.numel()).view(4, -1)  # type: ignore[operator]
    try:
        with torch.no_grad():
            return torch.allclose(module(trial), operator(trial), rtol=_CLOSE, atol=_CLOSE)
    except (RuntimeError, TypeError, ValueError):  # it wants other arguments
        return False
