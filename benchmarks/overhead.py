"""What the record costs: throughput with events, samples and watch on, over throughput with all of them off.

`python -m benchmarks.overhead [--pairs 5] [--seconds 10] [--clients 8]`. Both arms serve the demo model in a fresh
process; they alternate, so that a machine that slows down slows both, and the median ratio of the pairs is printed.
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
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    print(f"emit on the request path: {1e6 * emit_cost_s():.1f} us at the median of 5,000")
    ratios = []
    for pair in range(arguments.pairs):
        # The order alternates too: what comes second finds a warmer machine.
        arms = (True, False) if pair % 2 == 0 else (False, True)
        rate = {on: throughput(on, arguments.seconds, arguments.clients) for on in arms}
        ratios.append(rate[True] / rate[False])
        print(
            f"pair {pair + 1}: {rate[True]:.0f} tokens/s on, {rate[False]:.0f} off, ratio {ratios[-1]:.3f}", flush=True
        )
    print(f"median ratio {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


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


def throughput(on: bool, seconds: float, clients: int) -> float:
    """Output tokens a second under a closed loop of `clients`, after a warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        dials = {
            "LLMOPS_STATE__DIRECTORY": folder,
            "LLMOPS_SERVE__PORT": str(port),
            "LLMOPS_ADMISSION__RATE_PER_S": "1e6",
            "LLMOPS_ADMISSION__BURST": "1000000",
            "LLMOPS_BENCH__ENABLED": "false",
            **({} if on else _OFF),
        }
        with contextlib.ExitStack() as stack:
            stack.enter_context(program("serve", dials))
            if on:
                stack.enter_context(program("watch", dials))
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            asyncio.run(_load(url, 2.0, clients))
            return asyncio.run(_load(url, seconds, clients))


@contextlib.contextmanager
def program(name: str, dials: Mapping[str, str]) -> Iterator[None]:
    """`llmops NAME` with these dials in its environment, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llmops", name],
        env={**os.environ, **dials},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
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
