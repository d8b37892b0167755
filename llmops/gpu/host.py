"""Processors and RAM of this machine as the fit arithmetic wants them, for machines without a GPU."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from pathlib import Path

import psutil

from llmops.fit.cards import Box
from llmops.fit.cpu import cpu_box

_CGROUP = Path("/sys/fs/cgroup")
_CPUINFO = Path("/proc/cpuinfo")
_COPIED_BYTES = 32 << 20
"""By each thread; beyond what caches hold."""
_ROUNDS = 3
_MOST_THREADS = 16


def read_host() -> Box:
    """This machine, with the bandwidth of its memory as a copy takes it: some 0.1 s."""
    total, available = memory_bytes()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpu_box(
        cores=cores,
        memory_bytes=total,
        free_bytes=available,
        bandwidth=copy_bandwidth(min(cores, _MOST_THREADS)),
        computes_bf16=_computes_bf16(),
    )


def memory_bytes(cgroup: Path = _CGROUP) -> tuple[int, int]:
    """All and available; of the container where it may take less than the machine has."""
    machine = psutil.virtual_memory()
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is None or used is None or limit >= machine.total:
        return machine.total, machine.available
    return limit, max(0, min(machine.available, limit - used))


def copy_bandwidth(threads: int) -> float:
    """Bytes a second that so many threads read and write together, the best of three rounds."""
    best_s = min(_round_s(pairs) for pairs in [_pairs(threads)] for _ in range(_ROUNDS))
    return 2 * _COPIED_BYTES * threads / best_s


def _pairs(threads: int) -> list[tuple[mmap.mmap, mmap.mmap]]:
    pairs = [(mmap.mmap(-1, _COPIED_BYTES), mmap.mmap(-1, _COPIED_BYTES)) for _ in range(threads)]
    _round_s(pairs)  # the first touch of each page is slow
    return pairs


def _round_s(pairs: list[tuple[mmap.mmap, mmap.mmap]]) -> float:
    threads = [threading.Thread(target=_copy, args=pair) for pair in pairs]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _copy(target: mmap.mmap, source: mmap.mmap) -> None:
    """ctypes lets other threads run meanwhile."""
    places = [ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in (target, source)]
    ctypes.memmove(places[0], places[1], _COPIED_BYTES)


def _computes_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """As torch asks: AVX512-BF16 or AMX."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_tile" in text


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # `max` is no number
        return None
