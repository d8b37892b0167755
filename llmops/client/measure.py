"""How long a chat took, in vLLM's words: TTFT, TPOT = (E2EL - TTFT) / (n_out - 1), ITL, E2EL."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

from llmops.client.answers import ChatChunk


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatTiming:
    """One answer, seen from outside. itl_s: the gaps between two chunks with text.

    ttft_s is None without text, tpot_s with fewer than two tokens.
    tokens: as serve counted them; without its count, the chunks with text.
    """

    ttft_s: float | None
    tpot_s: float | None
    itl_s: tuple[float, ...]
    e2e_s: float
    tokens: int
    input_tokens: int | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    text: str = ""


async def time_chat(chunks: AsyncIterator[ChatChunk], started_at: float) -> ChatTiming:
    """Read the stream to its end. started_at: the monotonic clock just before the request was made."""
    watch = Stopwatch(started_at)
    async for chunk in chunks:
        watch.see(chunk)
    return watch.timing()


class Stopwatch:
    """Sees chunks one by one, so that a screen can show figures while the answer runs."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._last_at = started_at
        self._texts: list[str] = []
        self._text_at: list[float] = []
        self._tokens: int | None = None
        self._input_tokens: int | None = None
        self._finish_reason: str | None = None
        self._request_id: str | None = None

    def see(self, chunk: ChatChunk) -> None:
        """Take the next chunk in order."""
        if chunk.text:
            self._texts.append(chunk.text)
            self._text_at.append(chunk.received_at)
        if chunk.text or chunk.finish_reason:
            self._last_at = chunk.received_at  # the usage chunk after it is bookkeeping, not answer
        self._finish_reason = chunk.finish_reason or self._finish_reason
        self._request_id = chunk.request_id or self._request_id
        self._tokens = chunk.output_tokens if chunk.output_tokens is not None else self._tokens
        self._input_tokens = chunk.input_tokens if chunk.input_tokens is not None else self._input_tokens

    def timing(self) -> ChatTiming:
        """The figures up to the last chunk seen."""
        tokens = self._tokens if self._tokens is not None else len(self._texts)
        e2e_s = self._last_at - self._started_at
        ttft_s = self._text_at[0] - self._started_at if self._text_at else None
        return ChatTiming(
            ttft_s=ttft_s,
            tpot_s=(e2e_s - ttft_s) / (tokens - 1) if ttft_s is not None and tokens > 1 else None,
            itl_s=tuple(after - before for before, after in zip(self._text_at, self._text_at[1:], strict=False)),
            e2e_s=e2e_s,
            tokens=tokens,
            input_tokens=self._input_tokens,
            finish_reason=self._finish_reason,
            request_id=self._request_id,
            text="".join(self._texts),
        )
