"""A mixed load, beside `transformers serve`: one long conversation among short ones, short prompts beside a long one.

`python -m benchmarks.mixed FOLDER [--peers ours,transformers] [--rounds 3] [--users 12]`
FOLDER: a real instruct model, since random weights say nothing about attention over long contexts. The servers take
turns, the others stopped; each ratio is the median of the rounds. Two figures:

together: tokens/s of all `--users` users, one of whom continues a conversation of `--context` tokens, over the tokens/s
of a single user with short prompts who is alone. Each user sends the next request when the last one is answered. Both
are counted after 20 s of the same load: a server that adapts to its load has then done so.
first token: time to the first token of a short prompt while a new prompt of `--prompt` tokens is being read, over the
same without it; and how much longer the long prompt takes because of the short ones.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.load import Answer, Ask
from benchmarks.peers import Server, ours, transformers_serve

_SHORT_TOKENS, _ANSWER_TOKENS = 30, 48
_FIELDS = {"temperature": 0}
_SHORT_EVERY_S = 0.3
_ALONE_S = 20.0
_WARM_UP_S = 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """One round of one server; rates in tokens/s, times in seconds."""

    alone: float
    together: float
    ttft_s: float
    ttft_beside_s: float
    long_s: float
    long_beside_s: float


def main() -> None:
    """Print one table: a row for each server."""
    arguments = _arguments()
    with contextlib.ExitStack() as stack:
        servers = _start(stack, arguments)
        prompts = Prompts(arguments.folder)
        for server in servers.values():
            with server.alone():
                asyncio.run(_short_ones(server.ask, prompts, 2))
        results: dict[str, list[Round]] = {name: [] for name in servers}
        for number in range(arguments.rounds):
            names = list(servers)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                with servers[name].alone():
                    results[name].append(asyncio.run(measure(servers[name].ask, prompts, arguments)))
    show(results)


async def measure(ask: Ask, prompts: Prompts, arguments: argparse.Namespace) -> Round:
    """One round of both parts."""
    await _rate(ask, [prompts.short], _WARM_UP_S)
    alone = await _rate(ask, [prompts.short], _ALONE_S)
    conversation = prompts.of(arguments.context)
    await ask(conversation, 1)  # the turns before: what a conversation has said is in the cache
    turn = iter(range(1000))
    users: list[Callable[[], str]] = [prompts.short] * (arguments.users - 1)
    users.append(lambda: f"{conversation} {next(turn)}?")
    await _rate(ask, users, _WARM_UP_S)
    together = await _rate(ask, users, arguments.seconds)
    ttft_s = statistics.median(each.ttft_s for each in await _short_ones(ask, prompts, 8))
    long_s = (await ask(prompts.of(arguments.prompt), 1)).e2el_s
    reading = asyncio.ensure_future(ask(prompts.of(arguments.prompt), 1))
    await asyncio.sleep(_SHORT_EVERY_S)
    beside: list[Answer] = []
    while not reading.done():
        beside.append(await ask(prompts.short(), 1))
        await asyncio.sleep(_SHORT_EVERY_S)
    long_beside_s = (await reading).e2el_s
    ttft_beside_s = statistics.median(each.ttft_s for each in beside)
    return Round(alone, together, ttft_s, ttft_beside_s, long_s, long_beside_s)


async def _rate(ask: Ask, users: Sequence[Callable[[], str]], span_s: float) -> float:
    """Output tokens/s of all users over `span_s` seconds, in which each asks again when it is answered."""
    until = time.perf_counter() + span_s
    ended: list[Answer] = []

    async def user(prompt: Callable[[], str]) -> None:
        while time.perf_counter() < until:
            ended.append(await ask(prompt(), _ANSWER_TOKENS))

    await asyncio.gather(*[user(prompt) for prompt in users])
    return sum(_tokens_until(until, answer) for answer in ended) / span_s


def _tokens_until(until: float, answer: Answer) -> float:
    """Of an answer that went on after `until`, its share in pieces."""
    return answer.output_tokens * sum(at <= until for at in answer.times) / len(answer.times)


async def _short_ones(ask: Ask, prompts: Prompts, count: int) -> list[Answer]:
    return [await ask(prompts.short(), 1) for _ in range(count)]


class Prompts:
    """New texts of the asked length in tokens of the model: no two begin alike, so that no cache has them."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        self._words = [text[1:] for text in tokenizer.get_vocab() if text.startswith("\u0120") and text[1:].isalpha()]
        self._chance = random.Random(time.time_ns())

    def of(self, tokens: int) -> str:
        """A text of about so many tokens: each word of the vocabulary is one."""
        return " ".join(self._chance.choices(self._words, k=tokens))

    def short(self) -> str:
        """A question."""
        return f"Explain in a few sentences: {self.of(_SHORT_TOKENS - 8)}"


def show(results: dict[str, list[Round]]) -> None:
    """Print the medians of the rounds."""
    columns = ("alone", "together", "ratio", "TTFT", "beside", "ratio", "long", "beside", "ratio")
    print(f"{'':14}" + "".join(f"{name:>10}" for name in columns))
    for name, rounds in results.items():

        def middle(figure: Callable[[Round], float], rounds: Sequence[Round] = rounds) -> float:
            return statistics.median(figure(each) for each in rounds)

        cells = (
            f"{middle(lambda each: each.alone):.1f}",
            f"{middle(lambda each: each.together):.1f}",
            f"{middle(lambda each: each.together / each.alone):.2f}",
            f"{middle(lambda each: each.ttft_s):.3f}",
            f"{middle(lambda each: each.ttft_beside_s):.3f}",
            f"{middle(lambda each: each.ttft_beside_s / each.ttft_s):.2f}",
            f"{middle(lambda each: each.long_s):.1f}",
            f"{middle(lambda each: each.long_beside_s):.1f}",
            f"{middle(lambda each: each.long_beside_s / each.long_s):.2f}",
        )
        print(f"{name:14}" + "".join(f"{cell:>10}" for cell in cells))


def _start(stack: contextlib.ExitStack, arguments: argparse.Namespace) -> dict[str, Server]:
    servers: dict[str, Server] = {}
    for name in arguments.peers.split(","):
        if name == "ours":
            state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = ours(arguments.folder, state, _FIELDS)
        else:
            server = transformers_serve(arguments.folder, arguments.transformers, _FIELDS)
        stack.callback(server.stop)
        server.pause()
        servers[name] = server
    return servers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", default="ours,transformers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=12)
    parser.add_argument("--context", type=int, default=4800, help="tokens of the long conversation")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long all users ask together")
    parser.add_argument("--prompt", type=int, default=5000, help="tokens of the long prompt that is read")
    parser.add_argument("--transformers", default="", help="more flags for `transformers serve`, as one text")
    return parser.parse_args()


if __name__ == "__main__":
    main()
