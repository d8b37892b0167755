"""Copies weights out of the files that they were mapped from, so that a change of a file changes no answer.

safetensors gives a CPU tensor as a view of the mapped file where no conversion is needed. Overwriting such a file in
place changes the weights of a running server without a sign, and truncating it kills the process with SIGBUS.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

_MAPS = Path("/proc/self/maps")


def copy_mapped(model: Any, maps: Path = _MAPS) -> int:
    """Copy every parameter and buffer that lies in a file's mapping into memory of the process.

    Tied weights stay tied: they are one parameter. One tensor is copied at a time, so the peak is the model and its
    largest tensor; pages of the file are the kernel's to drop. Returns the bytes that were copied.
    """
    mappings = _file_mappings(maps)
    copied_bytes = 0
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.device.type == "cpu" and _is_in(tensor.data_ptr(), mappings):
            tensor.data = tensor.data.clone()
            copied_bytes += tensor.nbytes
    return copied_bytes


def _file_mappings(maps: Path) -> list[tuple[int, int]]:
    """(first address, address after the last) of each mapping of a file; proc_pid_maps(5) has the format."""
    found = []
    for line in maps.read_text("utf-8", "surrogateescape").splitlines():
        addresses, _, _, _, inode, *path = line.split(maxsplit=5)
        if inode != "0" and path:
            first, after = addresses.split("-")
            found.append((int(first, 16), int(after, 16)))
    return found


def _is_in(address: int, mappings: list[tuple[int, int]]) -> bool:
    return any(first <= address < after for first, after in mappings)
