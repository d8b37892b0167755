"""What a loaded model really takes: every storage once, with the scales that quantisation keeps beside the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


def measured_bytes(model: Any) -> int:
    """Bytes of parameters, buffers and quantisation state on any device; what is offloaded to disk counts nothing."""
    storages = {}
    for tensor in _tensors(model):
        if tensor.device.type != "meta":
            storage = tensor.untyped_storage()
            storages[tensor.device, storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _tensors(model: Any) -> Iterator[torch.Tensor]:
    yield from model.buffers()
    for parameter in model.parameters():
        yield parameter
        yield from _inside(parameter)
        yield from _inside(getattr(parameter, "quant_state", None))
    for module in model.modules():
        yield from _inside(getattr(module, "state", None))  # LLM.int8 moves its rows and scales there at the first step


def _inside(holder: Any, depth: int = 2) -> Iterator[torch.Tensor]:
    for value in vars(holder).values() if hasattr(holder, "__dict__") else ():
        if isinstance(value, torch.Tensor):
            yield value
        elif depth and type(value).__name__ == "QuantState":
            yield from _inside(value, depth - 1)
