"""Clients that ask one request after the other, and note when an answer was read to its end."""

from __future__ import annotations

import contextlib
import threading
import time

import httpx

from tests.route.processes import Box

_CLIENTS = 4


class Clients:
    """They ask one after the other, half of them for a stream, and note when an answer was read to its end."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._ended = threading.Event()
        self.answered: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._ask_on, args=(number,), daemon=True) for number in range(_CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _ask_on(self, number: int) -> None:
        asked = 0
        while not self._ended.is_set():
            asked += 1
            if not self.ask(f"client-{number}-{asked}", is_stream=number % 2 == 0):
                time.sleep(0.05)

    def ask(self, name: str, *, is_stream: bool) -> bool:
        """Whether the answer came whole."""
        body = {"messages": [{"role": "user", "content": "one two three"}], "stream": is_stream}
        url, headers = f"{self._box.url}/v1/chat/completions", {"x-request-id": name}
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream("POST", url, json=body, headers=headers, trust_env=False, verify=False, timeout=10) as answer,
        ):
            if answer.status_code == 200 and _read(answer, is_stream=is_stream):
                self.answered[name] = time.monotonic()
                return True
        return False


def _read(answer: httpx.Response, *, is_stream: bool) -> bool:
    """To the end; of a stream to `[DONE]`, which is all that a client waits for."""
    if not is_stream:
        answer.read()
        return True
    return any(line == "data: [DONE]" for line in answer.iter_lines())
