"""What PyTorch's CUDA allocator sets aside for a tensor: it rounds up, and hands out what it would not split.

Source: c10/cuda/CUDACachingAllocator.cpp. A tensor of 10 MiB or more gets a segment of its own, in steps of 2 MiB; a
rest of more than 1 MiB is split off and used again, a smaller one stays with the tensor and counts as allocated.
"""

from __future__ import annotations

_MIB = 1 << 20
SMALL_BYTES = 1 * _MIB
"""Tensors up to here share small segments in steps of 512 bytes; what is split off must be larger."""
_LARGE_BYTES = 10 * _MIB
_STEP_BYTES = 2 * _MIB
_SMALL_STEP_BYTES = 512


def held_bytes(size: int) -> int:
    """Of a tensor of `size` bytes that is loaded and stays."""
    if size < _LARGE_BYTES:
        return -(-size // _SMALL_STEP_BYTES) * _SMALL_STEP_BYTES
    rest = -size % _STEP_BYTES
    return size + (rest if rest <= SMALL_BYTES else 0)
