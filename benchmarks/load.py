"""Clients of a streaming chat API as bare protocols: cheap enough that what is measured is the server.

The words are vLLM's: TTFT from the request's last byte to the first token, ITL each gap between two pieces that carry
tokens, TPOT (E2EL - TTFT) / (tokens - 1), E2EL to the end of the answer. All in seconds.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One request, seen from outside; times are of `time.perf_counter`."""

    sent_at: float
    times: tuple[float, ...]
    ended_at: float
    input_tokens: int
    output_tokens: int

    @property
    def ttft_s(self) -> float:
        """To the first token."""
        return self.times[0] - self.sent_at

    @property
    def e2el_s(self) -> float:
        """To the end of the answer."""
        return self.ended_at - self.sent_at

    @property
    def tpot_s(self) -> float:
        """The mean time of a token after the first."""
        return (self.times[-1] - self.times[0]) / max(1, self.output_tokens - 1)

    @property
    def gaps_s(self) -> list[float]:
        """Each wait for the next piece."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


Ask = Callable[[str, int], Awaitable[Answer]]
"""(prompt, max_tokens) -> Answer. Raises OSError, or ValueError when there was no whole answer."""


def over_http(port: int, fields: Mapping[str, object]) -> Ask:
    """Asks the chat API on this machine's `port`, one connection a request. fields: of the body, beside the usual."""

    async def ask(prompt: str, max_tokens: int) -> Answer:
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens, "stream": True}
        payload = json.dumps({**body, **fields}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        head += b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(payload)
        loop = asyncio.get_running_loop()
        _, reader = await loop.create_connection(_Reader, "127.0.0.1", port)
        return await reader.ask(head + payload)

    return ask


class _Reader(asyncio.Protocol):
    """One answer: notes when each event came and looks into the events only after the end."""

    def __init__(self) -> None:
        self._received: list[tuple[float, bytes]] = []
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received.append((time.perf_counter(), data))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def ask(self, request: bytes) -> Answer:
        sent_at = time.perf_counter()
        self._transport.write(request)
        try:
            await self._ended
        finally:
            self._transport.close()
        return _answer(sent_at, self._received)


def _answer(sent_at: float, received: Sequence[tuple[float, bytes]]) -> Answer:
    if not received or b" 200 " not in received[0][1][:20]:
        raise ValueError(f"refused: {b''.join(data for _, data in received)[:300]!r}")
    times: list[float] = []
    usage = None
    left = b""
    for at, data in received:
        *lines, left = (left + data).split(b"\n")
        for line in lines:
            if line.startswith(b'data: {"error'):
                raise ValueError(f"failed: {line[:300]!r}")
            if b'"content":"' in line and b'"content":""' not in line:
                times.append(at)
            if b'"usage":{' in line:
                usage = json.loads(line.removeprefix(b"data: "))["usage"]
    if usage is None:
        raise ValueError(f"the answer broke off: {b''.join(data for _, data in received)[-300:]!r}")
    # Random weights may write nothing but halves of characters, which a careful server holds back to the end.
    ended_at = received[-1][0]
    return Answer(sent_at, tuple(times or [ended_at]), ended_at, usage["prompt_tokens"], usage["completion_tokens"])


async def closed_loop(ask: Ask, prompts: Sequence[str], max_tokens: int, *, clients: int, each: int) -> list[Answer]:
    """Every client sends its next request when its last is answered, `each` of them."""
    waiting = iter(prompts)

    async def client() -> list[Answer]:
        return [await ask(next(waiting), max_tokens) for _ in range(each)]

    return [answer for answers in await asyncio.gather(*[client() for _ in range(clients)]) for answer in answers]


async def poisson(ask: Ask, prompts: Sequence[str], max_tokens: int, *, rate_per_s: float, seed: int) -> list[Answer]:
    """Requests come when they come, whatever became of the ones before."""
    chance = random.Random(seed)
    running = []
    for prompt in prompts:
        running.append(asyncio.ensure_future(ask(prompt, max_tokens)))
        await asyncio.sleep(chance.expovariate(rate_per_s))
    return list(await asyncio.gather(*running))
