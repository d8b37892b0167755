"""Does the engine come back as it was: rounds of good clients, bad ones, leavers and a fault, and what memory does.

`python -m benchmarks.torture [--rounds 100]`, with a random model of a few hundred kilobytes, through the HTTP API.
Each round ends with a right answer, one event a request, and no flow, handler or cache block left. Exit code 1: memory
grew by more than 2 % from the tenth round to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

from llmops.engine.build import DEMO_MODEL
from tests.engine import tiny_model
from tests.engine.torture.rounds import tortured

_WARM = 10
_GROWTH = 0.02


def main() -> None:
    """Print memory every ten rounds, and the verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--demo", action="store_true", help="the demo model instead of the random one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)  # the library tells each injected fault with its traceback
    with tempfile.TemporaryDirectory() as folder:
        model = DEMO_MODEL if arguments.demo else tiny_model.build(Path(folder))
        warm, end = asyncio.run(_rounds(model, arguments.rounds))
    growth = end / warm - 1
    print(f"memory after round {_WARM}: {warm / 2**20:.1f} MiB, at the end: {end / 2**20:.1f} MiB, {growth:+.2%}")
    sys.exit(growth > _GROWTH)


async def _rounds(model: Path, count: int) -> tuple[int, int]:
    warm = _resident_bytes()
    async with tortured(model) as torture:
        started = time.monotonic()
        for number in range(count):
            await torture.round(number)
            if number + 1 == _WARM:
                warm = _resident_bytes()
            if (number + 1) % 10 == 0:
                elapsed = time.monotonic() - started
                print(f"round {number + 1}: {_resident_bytes() / 2**20:.1f} MiB, {elapsed:.0f} s", flush=True)
        print("told to clients:", ", ".join(f"{slug} {count}" for slug, count in sorted(torture.told.items())))
        return warm, _resident_bytes()


def _resident_bytes() -> int:
    """What is in use, without what the allocator only keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
