"""`llmops chat`: one question, the answer as it is written, and what it cost."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping
from contextlib import aclosing

from llmops.client import RANGES, ChatOptions, ChatTiming, RequestRefused, ServeClient, ServeUnreachable, login_name
from llmops.client.measure import Stopwatch
from llmops.untrusted import safe_block, spelled_out

_TIMEOUT_S = 300.0


def run(url: str, message: str, *, api_key: str | None, options: ChatOptions) -> int:
    """Print the answer to stdout and its figures to stderr; 1 when there is none, 130 when interrupted."""
    try:
        timing, defaults = asyncio.run(_ask(url, _sayable(message), api_key, options))
    except (ServeUnreachable, RequestRefused) as error:
        print(f"llmops chat: {safe_block(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(_figures(timing), file=sys.stderr)
    print(_settings(options, defaults), file=sys.stderr)
    if timing.finish_reason == "length":
        print(_cut(timing, options), file=sys.stderr)
    return 0


def options_of(system: str | None, sampling: Mapping[str, str | None]) -> ChatOptions | None:
    """As the flags have it; None after a sentence about one that can't be used."""
    options = ChatOptions(system=None if system is None else _sayable(system))
    for name, text in sampling.items():
        allowed = RANGES[name]
        try:
            options = options if text is None else options.with_value(name, allowed.read(text))
        except (ValueError, OverflowError):
            flag, kind = f"--{name.replace('_', '-')}", "whole number" if allowed.is_whole else "number"
            least, most = f"{allowed.least:.0f}", f"{allowed.most:.0f}"
            within = f"above {least} and at most {most}" if allowed.is_above else f"from {least} to {most}"
            print(f"llmops chat: {flag} must be a {kind} {within}, not '{spelled_out(str(text))}'.", file=sys.stderr)
            return None
    return options


def standard_input(most_bytes: int) -> str | None:
    """What is piped in; None after a sentence where no server takes so much: a pipe may have no end."""
    read = sys.stdin.buffer.read(most_bytes + 1)
    if len(read) > most_bytes:
        print(
            f"llmops chat: standard input holds more than {most_bytes} bytes, the largest request that serve takes "
            "(serve.max_body_bytes): send less.",
            file=sys.stderr,
        )
        return None
    return read.decode("utf-8", "replace")


def _sayable(text: str) -> str:
    """Bytes that are no UTF-8 reach us as lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()


async def _ask(
    url: str, message: str, api_key: str | None, options: ChatOptions
) -> tuple[ChatTiming, Mapping[str, float]]:
    """The answer, and what the server says of its defaults."""
    watch = Stopwatch(time.monotonic())
    async with ServeClient(url, api_key=api_key, user=login_name("shell")) as serve:
        chunks = serve.chat(
            [*options.opening(), {"role": "user", "content": message}], timeout_s=_TIMEOUT_S, **options.sampling()
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                watch.see(chunk)
                sys.stdout.write(safe_block(chunk.text))
                sys.stdout.flush()
        sys.stdout.write("\n")
        sys.stdout.flush()
        with contextlib.suppress(ServeUnreachable, RequestRefused):  # the answer is there
            return watch.timing(), next((model.defaults for model in await serve.models()), {})
    return watch.timing(), {}


def _settings(options: ChatOptions, defaults: Mapping[str, float]) -> str:
    """What the answer was drawn with, and whose choice it was."""
    told = ["system prompt set"] if options.system else []
    for name in RANGES:
        value = getattr(options, name)
        if value is not None:
            told.append(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}")
        elif name in defaults:
            told.append(f"{name} {defaults[name]:g} (server's default)")
    return " · ".join(told) or "sampling as the server chooses"


def _cut(timing: ChatTiming, options: ChatOptions) -> str:
    asked = "" if options.max_tokens is None or timing.tokens < options.max_tokens else " as --max-tokens says"
    return f"The answer was cut off after {timing.tokens} tokens{asked}: --max-tokens sets another limit, if it fits."


def _figures(timing: ChatTiming) -> str:
    first = "--" if timing.ttft_s is None else f"{1000 * timing.ttft_s:.0f} ms"
    pace = "--" if not timing.tpot_s else f"{1 / timing.tpot_s:.1f}"
    read = "--" if timing.input_tokens is None else timing.input_tokens
    return f"first token {first} · {pace} tokens/s · {read} in, {timing.tokens} out · {timing.request_id}"
