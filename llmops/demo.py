"""`llmops demo`: serve, watch, a gentle load and the terminal, on a free port and in a temporary folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmops.client import RequestRefused, ServeClient, ServeUnreachable, fetch_snapshot
from llmops.settings import BadConfiguration, Settings, load
from llmops.up import Supervisor, as_environment, free_port

_READY_WITHIN_S = 120.0
_MEAN_PAUSE_S = 2.0
_USERS = ("ann", "bo", "陈")
_QUESTIONS = (
    "What is P99?",
    "How much VRAM does a 7B model need?",
    "What is an error budget?",
    "什么是错误预算？",
    "What does 4-bit quantisation do?",
    "显存不足（CUDA out of memory）怎么办？",
    "What is a burn rate?",
    "Which keys does the screen have?",
    "The output repeats itself. What can I do?",
    "什么是 P99？",
    "My GPUs are used unevenly, why?",
    "What is the weather tomorrow?",
)


def run(*, headless: bool, duration: str, engine: str | None, more: Mapping[str, object] | None = None) -> int:
    """Until the terminal is left, or headless for so long; 0 when all went well. more: further dials."""
    seconds = parse_duration(duration)
    mine = load().settings.tui  # keys, language and theme are the person's, not the stack's
    with tempfile.TemporaryDirectory(prefix="llmops-demo-") as folder, alone(Path(folder)):
        flags = dials(folder, engine) | dict(more or {})
        settings = load(flags).settings.model_copy(update={"tui": mine})
        supervisor = Supervisor(as_environment(flags), drain_s=5.0, log_directory=Path(folder) / "logs")
        supervising = threading.Thread(target=supervisor.run, name="demo-up")
        supervising.start()
        try:
            if not _wait_until_ready(settings.serve.url, supervising):
                _explain(Path(folder) / "logs" / "serve.log")
                return 1
            return _headless(settings, seconds) if headless else _with_terminal(settings)
        finally:
            supervisor.stop()
            supervising.join()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Neither llmops.toml nor the environment counts: somebody's webhook must not ring for a demo."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.upper().startswith("LLMOPS_")}
    nothing = folder / "llmops.toml"
    nothing.touch()
    os.environ["LLMOPS_CONFIG"] = str(nothing)
    try:
        yield
    finally:
        del os.environ["LLMOPS_CONFIG"]
        os.environ.update(kept)


def dials(folder: str, engine: str | None) -> dict[str, object]:
    """What differs from the defaults; serve and watch read the same."""
    port = free_port()
    return {
        "state.directory": folder,
        "serve.host": "127.0.0.1",
        "serve.port": port,
        "serve.drain_deadline_s": 5.0,
        "watch.serve_url": f"http://127.0.0.1:{port}",
        "engine.kind": engine,
        "bench.interval_s": 60.0,
        "bench.retry_s": 1.0,
    }


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `2m` or `1h`; BadConfiguration with a sentence otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not found or float(found[1]) <= 0:
        raise BadConfiguration(f"--for is {text!r}: give a duration such as 60s, 2m or 1h.")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def _wait_until_ready(url: str, supervising: threading.Thread) -> bool:
    sys.stderr.write("llmops demo: starting serve and watch, loading the model ...\n")
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and supervising.is_alive():
        with contextlib.suppress(ServeUnreachable):
            if fetch_snapshot(url).state == "ready":
                return True
        time.sleep(0.2)
    return False


def _explain(log: Path) -> None:
    sys.stderr.write("llmops demo: serve did not become ready. The end of its log:\n")
    with contextlib.suppress(OSError):
        sys.stderr.write("\n".join(log.read_text(errors="replace").splitlines()[-15:]) + "\n")


class Load:
    """A gentle stream of questions from three users, on a thread of its own; counts what it could not ask."""

    def __init__(self, url: str, rng: random.Random) -> None:
        self._url = url
        self._rng = rng
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_on()), name="demo-load", daemon=True)
        self.asked = 0
        self.unanswered = 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    async def _ask_on(self) -> None:
        asking: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            task = asyncio.create_task(self._ask(self._rng.choice(_USERS), self._rng.choice(_QUESTIONS)))
            asking.add(task)
            task.add_done_callback(asking.discard)
            pause_s = min(5 * _MEAN_PAUSE_S, self._rng.expovariate(1 / _MEAN_PAUSE_S))
            await asyncio.to_thread(self._stop.wait, pause_s)
        await asyncio.gather(*asking)

    async def _ask(self, user: str, question: str) -> None:
        self.asked += 1
        try:
            async with ServeClient(self._url, user=user) as serve:
                async for _ in serve.chat([{"role": "user", "content": question}], max_tokens=160):
                    pass
        except (ServeUnreachable, RequestRefused):
            self.unanswered += 1


def _with_terminal(settings: Settings) -> int:
    from llmops.tui.app import run as run_terminal

    with Load(settings.serve.url, random.Random()):  # noqa: S311
        return run_terminal(url=settings.serve.url, store_path=settings.state.store, settings=settings)


def _headless(settings: Settings, seconds: float) -> int:
    from llmops.shell.report import print_report

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    url = settings.serve.url
    started_at = time.time()
    sys.stderr.write(f"llmops demo: ready on {url} (process {os.getpid()}), asking questions for {seconds:g} s ...\n")
    with Load(url, random.Random(1)) as asked:  # noqa: S311
        stop.wait(seconds)
    time.sleep(2 * settings.watch.interval_s)  # watch takes in the last events
    return print_report(settings, started_at=started_at, asked=asked.asked, unanswered=asked.unanswered)
