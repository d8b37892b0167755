"""What sampling costs: processor time of one card at 1 Hz, as a share of a core.

`python -m benchmarks.sampling [--ticks 600] [--cards 1] [--tick-s 0.02]`. Where an NVIDIA driver answers, its own work
is in the figure. Where none does, the tests' stand-in for its library is compiled and sampled: then the figure is our
share and the binding's, and what the driver itself takes is not known from it.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from llmops.gpu.contract import Sampler, SamplerUnavailable
from llmops.gpu.nvml import NvmlSampler
from llmops.gpu.pretend import PretendSampler
from llmops.gpu.system import SystemSampler
from tests.gpu.driver import compiled, in_this_process

_LIMIT = 0.005
"""Of a core, for one card."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--ticks", type=int, default=600)
    parser.add_argument("--cards", type=int, default=1, help="of the stand-in")
    parser.add_argument(
        "--tick-s", type=float, default=0.02, help="between two; 1.0 has colder caches, and takes longer"
    )
    arguments = parser.parse_args()
    with cards(arguments.cards) as (source, sampler):
        spent = costs_s(sampler, arguments.ticks, arguments.tick_s)
        tell(source, spent, len(sampler.sample(time.time())))
    for name, other in (("processor and memory", SystemSampler()), ("two pretended cards", PretendSampler())):
        tell(name, costs_s(other, arguments.ticks, arguments.tick_s), 1)


@contextlib.contextmanager
def cards(count: int) -> Iterator[tuple[str, Sampler]]:
    """Of this machine, or stood in for."""
    with contextlib.suppress(SamplerUnavailable):
        sampler = NvmlSampler()
        yield "the driver of this machine", sampler
        sampler.close()
        return
    with tempfile.TemporaryDirectory() as folder, in_this_process(compiled(Path(folder)), Path(folder)) as driver:
        for _ in range(count):
            driver.add()
        yield "a stand-in for the driver (ours and the binding's share alone)", NvmlSampler()


def costs_s(sampler: Sampler, ticks: int, tick_s: float) -> list[float]:
    """Processor time of this process for each tick, the first one aside."""
    sampler.sample(time.time())
    spent = []
    for _ in range(ticks):
        before = time.process_time()
        sampler.sample(time.time())
        spent.append(time.process_time() - before)
        time.sleep(tick_s)
    return spent


def tell(name: str, spent: list[float], count: int) -> None:
    """One line: at 1 Hz, seconds of a tick are shares of a core."""
    each, slow = statistics.fmean(spent) / count, statistics.quantiles(spent, n=20)[-1] / count
    verdict = "within" if each < _LIMIT else "ABOVE"
    print(f"{name}: {100 * each:.4f} % of a core (P95 {100 * slow:.4f} %), {verdict} {100 * _LIMIT:g} %")


if __name__ == "__main__":
    main()
