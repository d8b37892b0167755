"""The same questions for a machine without a GPU: the memory that a model takes there, and how fast it answers.

A step reads all weights once, so the bandwidth of the memory bounds its speed; how much of it is used was measured.
"""

from __future__ import annotations

from llmops.fit.cards import Box, Card
from llmops.fit.memory import Need, cache_bytes, need
from llmops.fit.model import Model
from llmops.fit.speed import weights_read_bytes
from llmops.fit.weights import Scheme, repacked_bytes, weight_bytes

RUNTIME_BYTES = int(0.5 * (1 << 30))
"""What a serve process holds beside weights and cache: Python, torch, transformers, the API; 0.4 GiB when ready."""
HALF_BYTES, FLOAT_BYTES = 2, 4
_CHUNK = 256
"""Tokens of a prompt that the engine reads at once on a CPU."""


def cpu_box(*, cores: int, memory_bytes: int, free_bytes: int, bandwidth: float, computes_bf16: bool) -> Box:
    """This machine's processors and RAM. bandwidth: bytes a second that all cores together read and write."""
    name = f"CPU with {cores} core{'s' * (cores > 1)}"
    card = Card(name=name, memory_bytes=memory_bytes, free_bytes=free_bytes, bandwidth=bandwidth, source="measured")
    return Box(card, is_simulated=False, kind="cpu", computes_bf16=computes_bf16)


def compute_bytes(model: Model, box: Box) -> int:
    """Of one number: bfloat16 where the CPU computes in it and the files are in it, else float32."""
    stored = str(model.config.get("dtype") or model.config.get("torch_dtype") or "bfloat16")
    return HALF_BYTES if box.computes_bf16 and stored == "bfloat16" else FLOAT_BYTES


def cpu_need(model: Model, scheme: Scheme, box: Box, *, prompt: int, batch: int = 1) -> Need:
    """Peak bytes of RAM of the serve process."""
    width = compute_bytes(model, box)
    chunk = need(model, scheme, prompt=min(prompt, _CHUNK), batch=batch)
    return Need(
        weights=cpu_weights(model, scheme, width),
        cache=batch * cache_bytes(model.shape, prompt, windows=False) * width // HALF_BYTES,
        activations=chunk.activations * width // HALF_BYTES + batch * prompt * _CHUNK * width,
        dequantised=chunk.dequantised * width // HALF_BYTES,
        context=RUNTIME_BYTES,
    )


def cpu_weights(model: Model, scheme: Scheme, width: int) -> int:
    """Weights as they lie in RAM. width: bytes of a number that is not quantised."""
    if model.stored_bytes is not None:
        return model.stored_bytes
    return (repacked_bytes if width == HALF_BYTES else weight_bytes)(model.tensors, scheme, width)


def cpu_read_bytes(model: Model, scheme: Scheme, box: Box, *, tokens: int = 0, batch: int = 1) -> int:
    """What a step reads: the weights, of experts the chosen ones, and the cache."""
    width = compute_bytes(model, box)
    read = weights_read_bytes(model, scheme, batch, width)
    return read + batch * cache_bytes(model.shape, tokens) * width // HALF_BYTES
