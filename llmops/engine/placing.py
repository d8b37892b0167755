"""Where the weights go and how attention is computed: from dials to what the library is told, wrong ones refused."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import torch

from llmops.documents import shown
from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded

_MAPS = ("auto", "balanced", "sequential")
_RAM = ("cpu", "disk", "meta")
# Quickest first, each with the package that brings it.
_FLASH = {"flash_attention_3": "flash_attn_interface", "flash_attention_2": "flash_attn"}


def device_of(dials: EngineDials) -> str:
    """The device that computes; the first one where layers are spread. Raises ModelNotLoaded."""
    if dials.device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(dials.device)
    except RuntimeError as error:
        raise ModelNotLoaded(f"engine.device is {dials.device!r}: give auto, cpu, or a GPU as in cuda:1.") from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        here = ", ".join(f"cuda:{number}" for number in range(count)) or "none that torch can use"
        raise ModelNotLoaded(f"engine.device is {dials.device!r}, but the GPUs here are: {here}; set it to auto.")
    return f"cuda:{device.index or 0}" if device.type == "cuda" else str(device)


def placement(dials: EngineDials, device: str) -> dict[str, Any]:
    """device_map and max_memory as the library takes them. Raises ModelNotLoaded."""
    _refuse_what_excludes_itself(dials)
    limits = _limits(dials)
    if dials.device_map is None and not dials.cpu_offload:
        return {"device_map": {"": device}}
    where = dials.device_map or "auto"
    if where not in _MAPS:
        return {"device_map": _json(where, "engine.device_map", '"auto", "balanced", "sequential"'), **limits}
    if not dials.cpu_offload and torch.cuda.is_available():  # else what finds no place would slow each step down unsaid
        free = {number: torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())}
        limits = {"max_memory": free | limits.get("max_memory", {}) | {"cpu": 0}}
    return {"device_map": where, **limits}


def _refuse_what_excludes_itself(dials: EngineDials) -> None:
    spread = dials.device_map is not None or dials.cpu_offload
    if dials.tensor_parallel > 1:
        raise ModelNotLoaded(
            f"engine.tensor_parallel is {dials.tensor_parallel}, but transformers wants one process for each GPU, "
            f"and serve is one: run `vllm serve MODEL --tensor-parallel-size {dials.tensor_parallel}` and put "
            "llmops in front with `llmops serve --engine upstream`."
        )
    if spread and dials.device != "auto":
        raise ModelNotLoaded("engine.device names one device and engine.device_map or cpu_offload several: set one.")
    if dials.max_memory is not None and not spread:
        raise ModelNotLoaded("engine.max_memory limits a device map: set engine.device_map or engine.cpu_offload too.")
    if dials.cpu_offload and dials.quantization != "none":
        raise ModelNotLoaded(
            "engine.cpu_offload can't be combined with quantisation, which wants all layers on the GPU: "
            "set engine.cpu_offload or engine.quantization, not both."
        )


def _limits(dials: EngineDials) -> dict[str, Any]:
    if dials.max_memory is None:
        return {}
    told = _json(dials.max_memory, "engine.max_memory", '{"0": "20GiB", "cpu": "60GiB"}')
    return {"max_memory": {int(key) if key.isdigit() else key: value for key, value in told.items()}}


def _json(text: str, dial: str, example: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not told:
        raise ModelNotLoaded(f"{dial} is {shown(text)}: give {example} or a JSON object.")
    return told


def attention_for(dials: EngineDials, device: str, dtype: Any, supports_flash: bool) -> str | None:
    """What to ask for: with "auto" the quickest that is installed, None for the library's own choice.

    Raises ModelNotLoaded.
    """
    asked = dials.attention
    usable = supports_flash and device.startswith("cuda") and dtype in (torch.bfloat16, torch.float16)
    if asked == "auto":
        installed = (name for name, package in _FLASH.items() if importlib.util.find_spec(package) is not None)
        return next(installed, None) if usable else None
    if asked in _FLASH:
        if importlib.util.find_spec(_FLASH[asked]) is None:
            raise ModelNotLoaded(
                f"engine.attention is {asked}, but the package {_FLASH[asked]} is not installed: set it to auto."
            )
        if not usable:
            raise ModelNotLoaded(
                f"engine.attention is {asked}, which needs a GPU, bfloat16 or float16, and a model that knows it: "
                "set it to auto."
            )
    return asked


def places_of(model: Any) -> frozenset[str]:
    """The devices that hold weights, as in cuda:0, cpu and disk."""
    where: Mapping[str, Any] = getattr(model, "hf_device_map", None) or {"": model.device}
    return frozenset(f"cuda:{place}" if isinstance(place, int) else str(place) for place in where.values())


def is_offloaded(places: frozenset[str]) -> bool:
    """Whether layers visit the device that computes."""
    return "disk" in places or (len(places) > 1 and bool(places & set(_RAM)))


def spread_over(places: frozenset[str]) -> str | None:
    """Why batching can't take a model that lies there, in words that follow "because"; None when it can."""
    computing = sorted(places - set(_RAM))
    return (
        f"it is spread over {', '.join(computing)}, and a batch keeps its cache on one" if len(computing) > 1 else None
    )
