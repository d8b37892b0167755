"""The KV cache's memory on a CPU: taken page by page as tokens are written, and given back when nothing needs it.

The library lays its cache out with zeros, which takes all of it at once. Here the zeros are a private mapping of the
operating system: it reads as zeros too, and takes memory only where it was written.
"""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.overrides import TorchFunctionMode

_CGROUP = Path("/sys/fs/cgroup")


class _AsWritten(TorchFunctionMode):
    """The first zeros of bytes, which are the cache, become a mapping. Holds for the thread that enters it."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping: mmap.mmap | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not torch.zeros or kwargs.get("dtype") is not torch.uint8 or self.mapping is not None:
            return func(*args, **kwargs)
        self.mapping = _mapped(args[0])
        return torch.frombuffer(self.mapping, dtype=torch.uint8)


def _mapped(size_bytes: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size_bytes} bytes of KV cache could not be mapped: {error.strerror}.") from error


class CacheMemory:
    """Of one batch loop's cache; made before the loop starts."""

    def __init__(self, manager: Any) -> None:
        self._as_written = _AsWritten()
        create = manager._create_batch_processor

        def created() -> Any:
            del manager._create_batch_processor  # from here on the class's own again
            with self._as_written:
                return create()

        manager._create_batch_processor = created

    def give_back(self, cache: Any, keep_tokens: int) -> None:
        """Forget all prompts but the newest, and release what is free. On the loop's thread, between two steps.

        keep_tokens: of ended requests, whose beginning the next ones may share.
        """
        for allocator in cache.cache_allocators.values():
            _forget_oldest(allocator, keep_tokens // allocator.tokens_per_page)
        cache.pool.try_to_free_sectors()
        for first, count in _runs(cache.pool.free_sectors):
            self._release(first * cache.bytes_per_sector, (first + count) * cache.bytes_per_sector)

    def close(self) -> None:
        """Release all of it. The loop's thread must have ended."""
        if self._as_written.mapping is not None:
            self._as_written.mapping.madvise(mmap.MADV_DONTNEED)

    def _release(self, begin: int, end: int) -> None:
        """Whole pages within these bytes; they read as zeros afterwards."""
        mapping, page = self._as_written.mapping, mmap.PAGESIZE
        begin, end = -(-begin // page) * page, end // page * page
        if mapping is not None and end > begin:
            mapping.madvise(mmap.MADV_DONTNEED, begin, end - begin)


def _forget_oldest(allocator: Any, keep_blocks: int) -> None:
    """The library forgets all ended prompts at once or none; it keeps them in the order in which they ended."""
    ledger = allocator.ledger
    surplus = max(0, len(ledger.cached_blocks) - keep_blocks)
    oldest = list(itertools.islice(ledger.cached_blocks, surplus))
    for block in oldest:
        del ledger.cached_blocks[block]
        del ledger.hash_to_block[ledger.block_to_hash.pop(block)]
    allocator.pool.free_blocks(allocator.index, oldest)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of what lies side by side."""
    for _, run in itertools.groupby(enumerate(sorted(numbers)), key=lambda each: each[1] - each[0]):
        side_by_side = [number for _, number in run]
        yield side_by_side[0], len(side_by_side)


def available_bytes(cgroup: Path = _CGROUP) -> int:
    """Memory of this machine that nothing uses, or what the container may still take where that is less."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((cgroup / name).read_text("ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or one without a limit: `max`
        return free
    return min(free, max(0, limit - used))
