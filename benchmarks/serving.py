"""Serving, side by side: ours, `transformers serve`, the library in process, openvino-genai; one model, one run.

`python -m benchmarks.serving FOLDER [--clients 1,4,8,16] [--shapes 64x64,512x128] [--rounds 3] [--peers ours,...]`
FOLDER: a model as `python -m benchmarks.models` writes it. The peers take turns, the others' processes stopped, so a
machine that slows down slows all of them; each figure is the median of the rounds, each ratio that of the pairs.
The openvino column needs its own environment and a converted model: `--openvino PYTHON,FOLDER`, made by
`optimum-cli export openvino --model FOLDER --task text-generation-with-past --weight-format fp32`.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import Cell, InProcess, Measured, Peer, ours, transformers_serve

_PEERS = ("ours", "transformers", "library", "openvino")
_POISSON_SHARE = 0.7
_FEWEST = 8
"""Requests of a round: the first ones after a stop still warm the caches."""


def main() -> None:
    """Print a table for each shape, and the ratios."""
    arguments = _arguments()
    with contextlib.ExitStack() as stack:
        peers = _start(stack, arguments)
        for shape in arguments.shapes.split(","):
            length, max_tokens = map(int, shape.split("x"))
            cells = [Cell(length, max_tokens, clients=int(text)) for text in arguments.clients.split(",")]
            slowest = 0.0
            for cell in cells:
                results = measure(peers, cell, arguments)
                show(f"{shape}, {cell.clients} clients", results)
                slowest = min(statistics.median(each.requests_per_s for each in rounds) for rounds in results.values())
            if arguments.poisson:
                rate = _POISSON_SHARE * slowest
                cell = Cell(length, max_tokens, clients=cells[-1].clients, rate_per_s=rate)
                show(f"{shape}, Poisson at {rate:.2f} requests/s", measure(peers, cell, arguments))


def measure(peers: dict[str, Peer], cell: Cell, arguments: argparse.Namespace) -> dict[str, list[Measured]]:
    """Rounds of every peer, in turn; the order goes round."""
    results: dict[str, list[Measured]] = {name: [] for name in peers}
    words = prompts_of(arguments.folder, cell)
    for number in range(arguments.rounds):
        prompts = next(words)
        names = list(peers)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            with peers[name].alone():
                results[name].append(
                    peers[name].measure(cell, prompts, each=max(arguments.each, _FEWEST // cell.clients))
                )
    return results


def prompts_of(folder: Path, cell: Cell) -> Iterator[list[tuple[str, list[int]]]]:
    """For each round new prompts: (text of one message, token ids under the chat template), equally long."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    words = [text for text in tokenizer.get_vocab() if text.startswith("\u0120") and text[1:].isalpha()]
    chance = random.Random(cell.input_tokens)

    def ids(text: str) -> list[int]:
        turns = [{"role": "user", "content": text}]
        return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"])

    def prompt() -> tuple[str, list[int]]:
        chosen: list[str] = []
        while len(ids(" ".join(chosen))) < cell.input_tokens:
            missing = cell.input_tokens - len(ids(" ".join(chosen)))
            chosen += [word[1:] for word in chance.choices(words, k=max(1, missing * 2 // 3))]
        while len(ids(" ".join(chosen))) > cell.input_tokens:
            chosen.pop()
        return " ".join(chosen), ids(" ".join(chosen))

    while True:
        yield [prompt() for _ in range(64)]


def show(title: str, results: dict[str, list[Measured]]) -> None:
    """One table: a row for each peer, then our ratios."""
    print(f"\n{title}")
    columns = ("tok/s", "req/s", "TTFT p50", "p99", "TPOT p50", "ITL p50", "p99", "CPU", "RSS GB", "tokens")
    print(f"{'':14}" + "".join(f"{name:>10}" for name in columns))
    for name, rounds in results.items():
        print(f"{name:14}" + "".join(f"{text:>10}" for text in _row(rounds)))
    for name, rounds in results.items():
        if name != "ours" and "ours" in results:
            pairs = zip(results["ours"], rounds, strict=True)
            ratio = statistics.median(mine.tokens_per_s / other.tokens_per_s for mine, other in pairs)
            print(f"ours over {name}: {ratio:.2f} (tokens/s, median of {len(rounds)} pairs)")


def _row(rounds: Sequence[Measured]) -> Iterator[str]:
    def middle(figures: Iterator[float]) -> float:
        return statistics.median(figures)

    yield f"{middle(each.tokens_per_s for each in rounds):.0f}"
    yield f"{middle(each.requests_per_s for each in rounds):.2f}"
    for quantity, share in (("ttft_s", 50), ("ttft_s", 99), ("tpot_s", 50), ("gaps_s", 50), ("gaps_s", 99)):
        yield f"{1000 * middle(each.percentile(quantity, share) for each in rounds):.1f}"
    yield f"{middle(each.cores for each in rounds):.2f}"
    yield f"{middle(each.rss_bytes for each in rounds) / 1e9:.2f}"
    yield f"{middle(each.output_tokens for each in rounds):.1f}"


def _start(stack: contextlib.ExitStack, arguments: argparse.Namespace) -> dict[str, Peer]:
    peers: dict[str, Peer] = {}
    state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for name in arguments.peers.split(","):
        if name == "ours":
            peer: Peer = ours(arguments.folder, state)
        elif name == "transformers":
            peer = transformers_serve(arguments.folder, arguments.transformers)
        elif name == "library":
            peer = InProcess("library", arguments.folder)
        else:
            python, folder = arguments.openvino.split(",")
            peer = InProcess("openvino", Path(folder), python)
        stack.callback(peer.stop)
        peer.warm(prompts_of(arguments.folder, Cell(64, 16, clients=4)))
        peers[name] = peer
    return peers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", default="ours,transformers,library", help=f"of {', '.join(_PEERS)}")
    parser.add_argument("--clients", default="1,4,8,16")
    parser.add_argument("--shapes", default="64x64,512x128", help="tokens in x tokens out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=2, help="requests of each client in a round")
    parser.add_argument("--poisson", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--openvino", help="PYTHON,FOLDER")
    parser.add_argument("--transformers", default="", help="more flags for `transformers serve`, as one text")
    arguments = parser.parse_args()
    if "openvino" in arguments.peers and not arguments.openvino:
        parser.error("the openvino column needs --openvino PYTHON,FOLDER")
    return arguments


if __name__ == "__main__":
    main()
