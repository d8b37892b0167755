"""What the record costs: throughput with events, samples and watch on, over throughput with all of them off.

`python -m benchmarks.overhead [--pairs 30] [--seconds 2] [--clients 8]`. Both arms serve the demo model and
take turns in slices of two seconds, the other arm's processes stopped: a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from llmops.client import ServeUnreachable, fetch_snapshot
from llmops.events import RequestEvent
from llmops.sinks.open import open_bus
from llmops.up import free_port

_TOKENS = 64
_QUESTION = "What should I do at CUDA out of memory?"
_OFF = {"LLMOPS_EVENTS__ENABLED": "false", "LLMOPS_GPU__KIND": "none"}


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    print(f"emit on the request path: {1e6 * emit_cost_s():.1f} us at the median of 5,000")
    measured = list(ratios(arguments.pairs, arguments.seconds, arguments.clients))
    on, off = (statistics.fmean(rates) for rates in zip(*measured, strict=True))
    each = sorted(on / off for on, off in measured)
    print(f"{on:.0f} tokens/s on, {off:.0f} off: ratio of the means {on / off:.3f}")
    quarter = len(each) // 4
    middle = f"quartiles {each[quarter]:.3f} and {each[-1 - quarter]:.3f}"
    print(f"ratio of each pair: median {statistics.median(each):.3f}, {middle}")


def emit_cost_s(count: int = 5_000) -> float:
    """Median seconds of building and emitting one full request event, with the journal being written beside it."""
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        bus = open_bus(service_name="bench", instance_id="0", journal_directory=Path(folder), stream=nowhere)
        costs = []
        for number in range(count):
            started = time.perf_counter()
            bus.emit(_event(number))
            costs.append(time.perf_counter() - started)
            if number % 100 == 0:
                time.sleep(0.02)  # requests come one after another, not as one block
        bus.close()
    return statistics.median(costs)


def _event(number: int) -> RequestEvent:
    return RequestEvent(
        at=time.time(),
        request_id=f"request-{number}",
        user_hash="0123456789abcdef",
        request_model="llmops-demo",
        response_model="llmops-demo",
        model_version="0123456789ab",
        temperature=0.7,
        top_p=0.95,
        stream=True,
        finish_reasons=("stop",),
        input_tokens=120,
        output_tokens=240,
        duration_ns=1_500_000_000,
        duration_s=1.5,
        ttft_s=0.2,
        tpot_s=0.005,
        queue_s=0.01,
        prefill_s=0.19,
        decode_s=1.3,
    )


class Arm:
    """One installation under load; while the other is measured, all of its processes are stopped."""

    def __init__(self, stack: contextlib.ExitStack, *, on: bool) -> None:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        port = free_port()
        dials = {
            "LLMOPS_STATE__DIRECTORY": folder,
            "LLMOPS_SERVE__PORT": str(port),
            "LLMOPS_ADMISSION__RATE_PER_S": "1e6",
            "LLMOPS_ADMISSION__BURST": "1000000",
            "LLMOPS_BENCH__ENABLED": "false",
            **({} if on else _OFF),
        }
        self.url = f"http://127.0.0.1:{port}"
        names = ("serve", "watch") if on else ("serve",)
        self._processes = [stack.enter_context(program(name, dials)) for name in names]
        wait_until_ready(self.url)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let it run, and stop it again."""
        self.signal(signal.SIGCONT)
        yield
        self.signal(signal.SIGSTOP)

    def signal(self, number: int) -> None:
        """To all of its processes."""
        for process in self._processes:
            process.send_signal(number)


def ratios(pairs: int, seconds: float, clients: int) -> Iterator[tuple[float, float]]:
    """(tokens/s on, tokens/s off) of each pair of slices, the order alternating."""
    with contextlib.ExitStack() as stack:
        arms = {on: Arm(stack, on=on) for on in (True, False)}
        try:
            for arm in arms.values():
                asyncio.run(_load(arm.url, 2.0, clients))
                arm.signal(signal.SIGSTOP)
            for pair in range(pairs):
                rate = {}
                for on in (True, False) if pair % 2 == 0 else (False, True):
                    with arms[on].alone():
                        rate[on] = asyncio.run(_load(arms[on].url, seconds, clients))
                yield rate[True], rate[False]
        finally:
            for arm in arms.values():
                arm.signal(signal.SIGCONT)


@contextlib.contextmanager
def program(name: str, dials: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`llmops NAME` with these dials in its environment, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llmops", name],
        env={**os.environ, **dials},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_until_ready(url: str) -> None:
    """Return when serve answers; SystemExit after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(ServeUnreachable):
            if fetch_snapshot(url).state == "ready":
                return
        time.sleep(0.1)
    raise SystemExit("serve did not become ready within 60 s")


async def _load(url: str, seconds: float, clients: int) -> float:
    body = {"messages": [{"role": "user", "content": _QUESTION}], "max_tokens": _TOKENS, "temperature": 0}
    written = 0
    started = time.monotonic()

    async def ask_on(http: httpx.AsyncClient) -> None:
        nonlocal written
        while time.monotonic() - started < seconds:
            answer = await http.post(f"{url}/v1/chat/completions", json=body)
            written += answer.raise_for_status().json()["usage"]["completion_tokens"]

    async with httpx.AsyncClient(timeout=60) as http:
        await asyncio.gather(*(ask_on(http) for _ in range(clients)))
    return written / (time.monotonic() - started)


if __name__ == "__main__":
    main()
