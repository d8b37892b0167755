"""Real programs in real processes, in a folder of their own, on a free port."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from llmops.client import ServeUnreachable, fetch_snapshot
from llmops.store.sqlite import SqliteStore, open_store


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Box:
    """One installation: its folder, its port, and its dials as environment variables."""

    def __init__(self, directory: Path, **dials: object) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = {name.replace("__", "."): value for name, value in dials.items()}
        defaults = {"engine.kind": "echo", "state.directory": directory, "serve.port": self.port}
        defaults["canary.enabled"] = False  # it would come between what tests count
        defaults["alerts.resolve_hold_s"] = 0
        self.environment = {
            **os.environ,
            **{
                f"LLMOPS_{name.replace('.', '__')}".upper(): str(value) for name, value in {**defaults, **given}.items()
            },
        }

    @contextlib.contextmanager
    def program(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run `llmops ...` until the block ends; its stderr is in the folder."""
        log = (self.directory / f"{arguments[0]}.log").open("a")
        process = subprocess.Popen(
            [sys.executable, "-m", "llmops", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=self.directory,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()
            log.close()

    def call(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run `llmops ...` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "llmops", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def log(self, name: str) -> str:
        path = self.directory / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def until_ready(self, timeout_s: float = 60.0) -> None:
        until(self.ready, timeout_s, lambda: self.log("serve") + self.log("up"))

    def ready(self) -> bool:
        with contextlib.suppress(ServeUnreachable):
            return fetch_snapshot(self.url).state == "ready"
        return False

    def documents(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """Every whole line of every journal file; a line that is no JSON fails the test."""
        found: list[dict[str, Any]] = []
        for path in sorted((self.directory / "journal").glob("*.jsonl")):
            content = path.read_bytes()
            lines = content.split(b"\n")
            found.extend(json.loads(line) for line in lines[:-1])
        return [each for each in found if dataset is None or each["event.dataset"] == dataset]

    def alerts(self) -> list[tuple[str, str]]:
        """(rule, action) of every transition, oldest first."""
        changes = (each for each in self.documents("llmops.alert") if "llmops.notification.channel" not in each)
        found = sorted(changes, key=lambda each: each["@timestamp"])
        return [(each["rule.id"], each["event.action"]) for each in found]

    @contextlib.contextmanager
    def store(self) -> Iterator[SqliteStore]:
        with contextlib.closing(open_store(self.directory / "llmops.sqlite", read_only=True)) as store:
            yield store

    def chat(self, text: str = "one two three", **more: object) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": text}], **more}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=60)


def until(condition: Callable[[], object], timeout_s: float, explain: Callable[[], str] = str) -> float:
    """Wait for a condition; returns the seconds it took, fails with an explanation."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s} s: {explain()}"
        time.sleep(0.05)
    return time.monotonic() - started
