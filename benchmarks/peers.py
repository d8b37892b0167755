"""Servers and engines that are compared: started alike, measured alike, stopped while another is measured."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx
import psutil

from benchmarks.load import Answer, closed_loop, over_http, poisson
from llmops.up import free_port

Prompts = Sequence[tuple[str, list[int]]]
_START_S = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One kind of load. rate_per_s: Poisson arrivals instead of `clients` that wait for their answers."""

    input_tokens: int
    max_tokens: int
    clients: int
    rate_per_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """One round of one peer. cores: mean number of busy ones; rss_bytes: of its processes, at the end."""

    answers: Sequence[Answer]
    cores: float
    rss_bytes: int

    @property
    def _span_s(self) -> float:
        return max(each.ended_at for each in self.answers) - min(each.sent_at for each in self.answers)

    @property
    def tokens_per_s(self) -> float:
        """Output tokens of all over the time of all."""
        return sum(each.output_tokens for each in self.answers) / self._span_s

    @property
    def requests_per_s(self) -> float:
        """Answers over the time of all."""
        return len(self.answers) / self._span_s

    @property
    def output_tokens(self) -> float:
        """Of one answer, on average."""
        return sum(each.output_tokens for each in self.answers) / len(self.answers)

    def percentile(self, quantity: str, share: float) -> float:
        """Of `ttft_s`, `tpot_s`, `e2el_s`, or the pooled `gaps_s`."""
        values: list[float] = []
        for answer in self.answers:
            value = getattr(answer, quantity)
            values += value if isinstance(value, list) else [value]
        values.sort()
        return values[min(len(values) - 1, int(len(values) * share / 100))] if values else float("nan")


class Peer(Protocol):
    """What is measured."""

    def measure(self, cell: Cell, prompts: Prompts, *, each: int) -> Measured:
        """One round. Raises when a request got no whole answer."""

    def warm(self, prompts: Iterator[Prompts]) -> None:
        """What only the first requests pay for is paid."""

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Runs inside the `with`, is stopped outside."""

    def stop(self) -> None:
        """End its processes."""


class _Process:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._ps = psutil.Process(process.pid)

    def warm(self, prompts: Iterator[Prompts]) -> None:
        for _ in range(2):
            self.measure(Cell(64, 16, clients=4), next(prompts), each=2)
        self._process.send_signal(signal.SIGSTOP)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        self._process.send_signal(signal.SIGCONT)
        yield
        self._process.send_signal(signal.SIGSTOP)

    def pause(self) -> None:
        """Stop it while another is started or measured."""
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def measure(self, cell: Cell, prompts: Prompts, *, each: int) -> Measured:
        before, started = self._cpu_s(), time.perf_counter()
        answers = self._answers(cell, prompts, each)
        cores = (self._cpu_s() - before) / (time.perf_counter() - started)
        return Measured(answers, cores, self._ps.memory_info().rss)

    def _cpu_s(self) -> float:
        times = self._ps.cpu_times()
        return float(times.user + times.system)

    def _answers(self, cell: Cell, prompts: Prompts, each: int) -> list[Answer]:
        raise NotImplementedError


class Server(_Process):
    """Answers over HTTP; the load comes from this process, through `ask`."""

    def __init__(self, process: subprocess.Popen[str], port: int, fields: Mapping[str, object]) -> None:
        super().__init__(process)
        self.ask = over_http(port, fields)

    def _answers(self, cell: Cell, prompts: Prompts, each: int) -> list[Answer]:
        texts = [text for text, _ in prompts]
        if cell.rate_per_s is not None:
            count = cell.clients * each
            return asyncio.run(
                poisson(self.ask, texts[:count], cell.max_tokens, rate_per_s=cell.rate_per_s, seed=count)
            )
        return asyncio.run(closed_loop(self.ask, texts, cell.max_tokens, clients=cell.clients, each=each))


class InProcess(_Process):
    """An engine without a server; the load comes from its own process."""

    def __init__(self, engine: str, folder: Path, python: str = sys.executable) -> None:
        command = [python, "-m", "benchmarks.inprocess", engine, str(folder)]
        pipe = subprocess.PIPE
        super().__init__(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        if (said := self._line()) != "ready":
            raise RuntimeError(f"{engine} did not start: {said!r}")

    def _answers(self, cell: Cell, prompts: Prompts, each: int) -> list[Answer]:
        ids = [ids for _, ids in prompts][: cell.clients * each]
        job = {"prompts": ids, "max_tokens": cell.max_tokens, "clients": cell.clients, "each": each}
        if cell.rate_per_s is not None:
            job |= {"rate_per_s": cell.rate_per_s, "seed": len(ids)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answers = json.loads(self._line())
        return [Answer(sent, tuple(times), *rest) for sent, times, *rest in answers]

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def ours(folder: Path, state: Path, fields: Mapping[str, object] | None = None) -> Server:
    """`llmops serve FOLDER`, the record on, as it comes. fields: more of each request's body."""
    port = free_port()
    dials = {
        "LLMOPS_STATE__DIRECTORY": str(state),
        "LLMOPS_ADMISSION__RATE_PER_S": "1e6",
        "LLMOPS_ADMISSION__BURST": "1000000",
        "LLMOPS_EVENTS__LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "llmops", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **dials}, text=True)
    _wait_until(process, f"http://127.0.0.1:{port}/health/ready")
    return Server(process, port, {"stream_options": {"include_usage": True}, **(fields or {})})


def transformers_serve(folder: Path, flags: str, fields: Mapping[str, object] | None = None) -> Server:
    """`transformers serve --continuous-batching`, with more flags of its own. fields: more of each request's body."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "transformers"), "serve", str(folder), "--continuous-batching"]
    arguments = [*command, "--port", str(port), "--log-level", "error", *shlex.split(flags)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, text=True)
    _wait_until(process, f"http://127.0.0.1:{port}/health")
    return Server(process, port, {"model": str(folder), **(fields or {})})


def _wait_until(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        time.sleep(0.2)
    raise RuntimeError(f"nothing answers at {url}")
