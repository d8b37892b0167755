"""`llmops chat`: one question, the answer as it is written, and what it cost."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing

from llmops.client import ChatTiming, RequestRefused, ServeClient, ServeUnreachable, login_name
from llmops.client.measure import Stopwatch
from llmops.untrusted import safe_block

_TIMEOUT_S = 300.0


def run(url: str, message: str, *, api_key: str | None, max_tokens: int | None, temperature: float | None) -> int:
    """Print the answer to stdout and its figures to stderr; 1 when there is none, 130 when interrupted."""
    try:
        # Bytes that are no UTF-8 reach us as lone surrogates, which JSON cannot carry.
        sayable = message.encode("utf-8", "replace").decode()
        timing = asyncio.run(_ask(url, sayable, api_key, max_tokens, temperature))
    except (ServeUnreachable, RequestRefused) as error:
        print(f"llmops chat: {safe_block(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_figures(timing), file=sys.stderr)
    return 0


async def _ask(
    url: str, message: str, api_key: str | None, max_tokens: int | None, temperature: float | None
) -> ChatTiming:
    watch = Stopwatch(time.monotonic())
    async with ServeClient(url, api_key=api_key, user=login_name("shell")) as serve:
        chunks = serve.chat(
            [{"role": "user", "content": message}],
            max_tokens=max_tokens,
            temperature=temperature,
            timeout_s=_TIMEOUT_S,
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                watch.see(chunk)
                sys.stdout.write(safe_block(chunk.text))
                sys.stdout.flush()
    sys.stdout.write("\n")
    return watch.timing()


def _figures(timing: ChatTiming) -> str:
    first = "--" if timing.ttft_s is None else f"{1000 * timing.ttft_s:.0f} ms"
    pace = "--" if not timing.tpot_s else f"{1 / timing.tpot_s:.1f}"
    read = "--" if timing.input_tokens is None else timing.input_tokens
    return f"first token {first} · {pace} tokens/s · {read} in, {timing.tokens} out · {timing.request_id}"
